"""Predict facial expressions with a network that FERscope exported. Needs onnxruntime, numpy and OpenCV, nothing else.

    python predict_onnx.py FILE.onnx IMAGE...            finds faces with OpenCV's Haar cascade
    python predict_onnx.py FILE.onnx --whole IMAGE...    each image is a face and nothing else

The file carries its card: expressions in order, image size, channels, face crop. Normalisation, test-time
augmentation and temperature are part of the network, so images go in as they are and probabilities come out.
"""

import json
import sys
from typing import Any

import cv2
import numpy as np
import onnxruntime

Image = Any  # (H, W) or (H, W, 3) uint8
LONGEST_SIDE = 1280  # larger images are searched at this size
MIN_SIZE = 32  # smallest face, in pixels of the image
FINE = 2.0  # pixels of a blur's deviation beyond which a face is made smaller first


def load(path: str) -> tuple[Any, dict[str, Any], float]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    facts = session.get_modelmeta().custom_metadata_map
    return session, json.loads(facts["card"]), float(facts["haar_margin"])


def find(image: Image, margin: float) -> list[tuple[int, int, int]]:
    """Squares (left, top, side) around the faces, the largest first."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    shrink = min(1.0, LONGEST_SIDE / max(height, width))
    if shrink < 1:
        small = cv2.resize(image, (round(width * shrink), round(height * shrink)), interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    cascades: str = vars(cv2)["data"].haarcascades  # OpenCV does not declare it
    cascade = cv2.CascadeClassifier(cascades + "haarcascade_frontalface_default.xml")
    least = round(MIN_SIZE * shrink)
    boxes = cascade.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=10, minSize=(least, least))
    zoom = np.array([width / grey.shape[1], height / grey.shape[0]] * 2)
    squares = []
    for left, top, wide, high in sorted((zoom * box for box in boxes), key=lambda box: -box[2] * box[3]):
        side = max(1, round(max(wide, high) * (1 + margin)))
        squares.append((round(left + wide / 2 - side / 2), round(top + high / 2 - side / 2), side))
    return squares


def cut(image: Image, left: int, top: int, side: int) -> Image:
    """Cut a square out of the image. Beyond the border, the edge pixels are repeated."""
    columns = np.clip(np.arange(side) + left, 0, image.shape[1] - 1)
    rows = np.clip(np.arange(side) + top, 0, image.shape[0] - 1)
    return image[np.ix_(rows, columns)]


def soften(image: Image, soft: float) -> Image:
    """A blur whose standard deviation is that share of the side; a large face is made smaller first."""
    if not soft:
        return image
    sigma = soft * max(image.shape[:2])
    if sigma > FINE:
        size = [max(1, round(side * FINE / sigma)) for side in (image.shape[1], image.shape[0])]
        image, sigma = cv2.resize(image, size, interpolation=cv2.INTER_AREA), FINE
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)


def fit(image: Image, spec: dict[str, Any]) -> Image:
    """The face at the network's size and channels, 0..255, prepared like the training images."""
    done = spec.get("preparation") or {"grey": False, "size": 0}
    if spec["channels"] == 1 or done["grey"]:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if done["size"]:
        image = resize(image, done["size"], done["size"])
    image = resize(image, spec["height"], spec["width"])
    return image if spec["channels"] == 1 or image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def resize(image: Image, height: int, width: int) -> Image:
    if image.shape[:2] == (height, width):
        return image
    shrinks = image.shape[0] > height or image.shape[1] > width
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def predict(
    session: Any, card: dict[str, Any], margin: float, image: Image, whole: bool = False
) -> list[tuple[Any, dict[str, float]]]:
    """[(square, {expression: probability})] of an RGB image (H, W, 3) uint8."""
    squares: list[Any] = [(0, 0, None)] if whole else find(image, margin)
    if not squares:
        return []
    soft = card["face"]["soft"]
    faces = [image if whole else soften(cut(image, *square), soft) for square in squares]
    (probs,) = session.run(None, {"pictures": np.stack([fit(face, card["image"]) for face in faces])})
    return [
        (square, dict(zip(card["expressions"], row.tolist(), strict=True)))
        for square, row in zip(squares, probs, strict=True)
    ]


def main(path: str, *pictures: str) -> None:
    session, card, margin = load(path)
    whole = "--whole" in pictures
    for name in (name for name in pictures if name != "--whole"):
        image = cv2.imread(name)
        if image is None:
            print(json.dumps({"file": name, "problem": "no image that OpenCV can read"}))
            continue
        for square, probs in predict(session, card, margin, cv2.cvtColor(image, cv2.COLOR_BGR2RGB), whole):
            best = max(probs, key=probs.__getitem__)
            print(json.dumps({"file": name, "square": None if whole else square, "predicted": best, "probs": probs}))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
