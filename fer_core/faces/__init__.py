"""Find the faces of a photo or camera frame, and crop them the way a network's training images were cropped.

One file of this package adds one detector: a function under the decorator `detector`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from fer_core.registry import Registry

# Longest side that a detector sees, in pixels. mtcnn needs 46 ms for 640x480 and 175 ms for 1280x960 on two slow cores,
# and a face of a group photo that is under 1/50 of this side is too small to read its expression anyway.
LONGEST_SIDE = 1280

# Smallest longer side of a face's box that is looked for, in pixels: two thirds of the 48 that most networks take.
CERTAIN = 0.98  # score of a face that needs no second look; one found in a photo on its side scores less
MIN_SIZE = 32.0

# The margin that frames a live face as FER2013 frames its own, for boxes of mtcnn: median of (48 / longer side of the
# box) - 1 over 933 Training images (every 30th), padded by half their size and enlarged four times. mtcnn found 87 % of
# them (quartiles -0.16 and 0.03). The box's centre is within 1 % of the image's in both directions, so there is no shift.
FER2013_MARGIN = -0.06

# How networks that learned FER2013 are shown the faces of photos: wider than FER2013 frames its own, and a little
# softer. Chosen on photos of 51 people, see docs/design/0021-faces-of-photos.md.
PHOTO_MARGIN = 0.3
PHOTO_SOFT = 0.01  # half a pixel of the 48 that most networks take

# Eyes of an aligned face, as shares of the side: the distance between the eyes is 0.3 of it and they lie at 0.38 from the
# top, about where mtcnn finds them in FER2013's images.
EYES_APART, EYES_DOWN = 0.30, 0.38

_FINE = 2.0  # pixels of a blur's deviation beyond which a face is made smaller first

Align = Literal["none", "upright", "eyes"]


@dataclass(frozen=True, eq=False)
class Face:
    """One found face, in pixels of the image it was found in. A box may stick out of the image.

    Attributes:
        box: left, top, width, height.
        score: the detector's confidence, 0..1, or None if it gives none.
        points: (5, 2) float32 x, y of left eye, right eye, nose tip, left and right corner of the mouth, where left is
            the image's left; None if the detector gives none.
    """

    box: tuple[float, float, float, float]
    score: float | None = None
    points: NDArray[np.float32] | None = None

    @property
    def size(self) -> float:
        """Longer side of the box in pixels."""
        return max(self.box[2:])


# (H, W, 3) uint8 RGB and the smallest `Face.size` wanted -> the faces in any order. Called by several threads at once.
Find = Callable[[NDArray[np.uint8], float], list[Face]]


@dataclass(frozen=True)
class Detector:
    """A registered face detector.

    Attributes:
        title: the name shown to users.
        margin: the margin around its boxes that frames a face as in FER2013.
        usable: whether its requirements are installed.
    """

    find: Find
    title: str
    margin: float
    usable: Callable[[], bool] = lambda: True


DETECTORS: Registry[Detector] = Registry("face detector", "fer_core.faces")


def detector(
    name: str, title: str, margin: float = 0.0, usable: Callable[[], bool] = lambda: True
) -> Callable[[Find], Find]:
    """Decorator that adds a detector; see `Detector`."""

    def add(find: Find) -> Find:
        DETECTORS.register(name)(Detector(find, title, margin, usable))
        return find

    return add


def detectors_here() -> dict[str, str]:
    """The titles of the detectors that work on this machine, by name; “none” stands last."""
    found = {name: one.title for name, one in DETECTORS.items() if one.usable()}
    return {name: found[name] for name in sorted(found, key=lambda name: name == "none")}


def find_faces(image: NDArray[np.uint8], detector: str = "mtcnn", min_size: float = MIN_SIZE) -> list[Face]:
    """All faces of an image, the largest first.

    Args:
        image: (H, W) or (H, W, 3) RGB. It is searched at `LONGEST_SIDE` pixels if it is larger.
        detector: a name in `DETECTORS`.
        min_size: smallest `Face.size` looked for, in pixels of `image`.

    Raises:
        UnknownName: there is no such detector.
        FerError: the detector's own file is missing or no detector (yunet).
    """
    import cv2  # 0.2 s; a page that only reads a card's FaceCrop has no use for it

    find = DETECTORS.get(detector).find
    height, width = image.shape[:2]
    shrink = min(1.0, LONGEST_SIDE / max(height, width))
    small = np.ascontiguousarray(image)  # OpenCV refuses views such as BGR turned round by [..., ::-1]
    if shrink < 1:
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        small = cv2.resize(small, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    if small.ndim == 2:
        small = np.repeat(small[..., None], 3, axis=2)
    x, y = width / small.shape[1], height / small.shape[0]
    faces = [
        Face(
            (left * x, top * y, w * x, h * y),
            face.score,
            None if face.points is None else face.points * np.array([x, y], np.float32),
        )
        for face in find(small, min_size * shrink)
        for left, top, w, h in [face.box]
    ]
    return sorted(faces, key=lambda face: face.box[2] * face.box[3], reverse=True)


def turns_to_upright(image: NDArray[np.uint8], detector: str = "mtcnn", min_size: float = MIN_SIZE) -> int:
    """The number of clockwise quarter turns, 0 to 3, that make the largest face of a photo upright.

    The rotation in a photo's EXIF data is applied when it is decoded, but some programs remove that data. The photo is
    searched as it is and, if it has no face or only a doubtful one (below `CERTAIN`), rotated too. The result is 0 if
    no rotation shows a face with more confidence. For a detector without scores, it counts whether a face is found.
    """

    def best(turned: NDArray[np.uint8]) -> float:
        found = find_faces(turned, detector, min_size)
        return 0.0 if not found else (1.0 if found[0].score is None else found[0].score)

    upright = best(image)
    if upright >= CERTAIN:
        return 0
    scores = {turns: best(np.rot90(image, -turns)) for turns in (1, 2, 3)}
    turns = max(scores, key=scores.__getitem__)
    return turns if scores[turns] > upright + (CERTAIN - upright) / 2 else 0


def lying(turns: int) -> str:
    """The warning for 1 to 3 quarter turns, in words."""
    how = {1: "by 90° clockwise", 2: "upside down", 3: "by 90° counter-clockwise"}[turns]
    return f"a face is found when the image is turned {how}: turn it and save it again"


def crop(image: NDArray[np.uint8], face: Face, margin: float = 0.0, upright: bool = False) -> NDArray[np.uint8]:
    """The square around the box's centre, (side, side) or (side, side, 3) like `image`.

    Its side is `face.size` x (1 + margin). Where it sticks out of the image the edge is repeated. With `upright` it
    is turned so that the eyes are level, if the face has points.
    """
    side, to_image = placement(face, margin, upright)
    if not upright or face.points is None:
        left, top = to_image[:, 2].astype(int)
        columns = np.clip(np.arange(side) + left, 0, image.shape[1] - 1)
        rows = np.clip(np.arange(side) + top, 0, image.shape[0] - 1)
        return image[np.ix_(rows, columns)]
    import cv2

    return cv2.warpAffine(
        np.ascontiguousarray(image),
        to_image,
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.uint8, copy=False)


def placement(face: Face, margin: float = 0.0, upright: bool = False) -> tuple[int, NDArray[np.float64]]:
    """Where `crop` cuts: its side in pixels and the (2, 3) affine map from its pixels (x, y, 1) to the image's."""
    left, top, width, height = face.box
    side = max(1, round(face.size * (1 + margin)))
    x, y = left + width / 2, top + height / 2
    if not upright or face.points is None:
        return side, np.array([[1.0, 0.0, round(x - side / 2)], [0.0, 1.0, round(y - side / 2)]])
    across, down = face.points[1] - face.points[0]
    angle = np.arctan2(down, across)  # 0 where both eyes are on one pixel, as a tiny face's may be
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float64)
    # Whole numbers are the middles of pixels in OpenCV, and their edges in a box.
    shift = np.array([x - 0.5, y - 0.5]) - turn @ np.full(2, (side - 1) / 2)
    return side, np.column_stack([turn, shift])


def by_eyes(image: NDArray[np.uint8], face: Face, side: int) -> NDArray[np.uint8]:
    """The face turned, scaled and moved so that its eyes lie level at fixed places; (side, side) like `image`.

    Shrinking is antialiased: it is cut at twice the side or more and averaged. Where it sticks out of the image the
    edge is repeated.
    """
    import cv2

    zoom = float(np.linalg.norm(placement_by_eyes(face, side)[:, 0]))  # pixels of the image in one of the result
    fine = max(1, min(8, int(np.ceil(zoom)))) * side
    cut = cv2.warpAffine(
        np.ascontiguousarray(image),
        placement_by_eyes(face, fine),
        (fine, fine),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(
        cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA) if fine > side else cut, dtype=np.uint8
    )


def placement_by_eyes(face: Face, side: int) -> NDArray[np.float64]:
    """Where `by_eyes` cuts: the (2, 3) affine map from its pixels (x, y, 1) to the image's. The face has points."""
    assert face.points is not None
    left, right = face.points[0].astype(float), face.points[1].astype(float)
    apart = max(float(np.hypot(*(right - left))), 1e-6)  # both eyes may be on one pixel of a tiny face
    across, down = (right - left) / apart
    turn = apart / (EYES_APART * side) * np.array([[across, -down], [down, across]])
    # Whole numbers are the middles of pixels in OpenCV, and their edges in a box.
    shift = (left + right) / 2 - 0.5 - turn @ (np.array([0.5, EYES_DOWN]) * side - 0.5)
    return np.column_stack([turn, shift])


def soften(face: NDArray[np.uint8], soft: float) -> NDArray[np.uint8]:
    """A cut out face under a Gaussian blur, (h, w) or (h, w, 3) like `face`; a large one is made smaller too.

    Args:
        soft: the blur's standard deviation as a share of the longer side; 0 leaves the face as it is.
    """
    if not soft:
        return face
    import cv2

    sigma = soft * max(face.shape[:2])
    if sigma > _FINE:  # a blur of many pixels takes long and leaves nothing that so many pixels could show
        size = [max(1, round(side * _FINE / sigma)) for side in (face.shape[1], face.shape[0])]
        face = cv2.resize(face, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        sigma = _FINE
    return cv2.GaussianBlur(face, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)


class FaceCrop(BaseModel):
    """How a whole photo becomes a network's images. The card stores it: a network states the framing it wants.

    With the detector “none” the image is a crop already and is not touched. The default frames a face as FER2013
    does; for another detector take the margin it is registered with. A face without points (haar's) is not aligned.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    detector: str = "mtcnn"
    margin: float = Field(FER2013_MARGIN, ge=-0.5, le=2)
    align: Align = Field("none", description="Eyes level (“upright”), or at fixed places too (“eyes”, without margin).")
    side: int = Field(0, ge=0, le=1024, description="Of a face aligned by its eyes, pixels; 0 takes the box's.")
    soft: float = Field(0.0, ge=0, le=0.1, description="Blur of the cut face: its deviation as a share of the side.")

    @model_validator(mode="before")
    @classmethod
    def _older(cls, values: Any) -> Any:
        """Cards of the first version say `upright`."""
        if isinstance(values, dict) and "upright" in values:
            values = dict(values)
            values["align"] = "upright" if values.pop("upright") else "none"
        return values

    @field_validator("detector")
    @classmethod
    def _known(cls, name: str) -> str:
        DETECTORS.get(name)
        return name

    def find(self, image: NDArray[np.uint8], min_size: float = MIN_SIZE) -> list[Face]:
        """As `find_faces`."""
        return find_faces(image, self.detector, min_size)

    def cut(self, image: NDArray[np.uint8], face: Face) -> NDArray[np.uint8]:
        """What a network is given before it is brought to its size: as `window`, softened."""
        return self.window(image, face) if self.detector == "none" else soften(self.window(image, face), self.soft)

    def window(self, image: NDArray[np.uint8], face: Face) -> NDArray[np.uint8]:
        """As `crop` or `by_eyes`; with “none” the image itself, which need not be square."""
        if self.detector == "none":
            return image
        if self.align == "eyes" and face.points is not None:
            return by_eyes(image, face, self._side(face))
        return crop(image, face, self.margin, self.align == "upright")

    def placement(self, face: Face) -> tuple[int, NDArray[np.float64]]:
        """Where `window` cuts: as `placement`, for a detector other than “none”."""
        if self.align == "eyes" and face.points is not None:
            return self._side(face), placement_by_eyes(face, self._side(face))
        return placement(face, self.margin, self.align == "upright")

    def _side(self, face: Face) -> int:
        return self.side or max(16, round(face.size))


FOR_PHOTOS = FaceCrop(margin=PHOTO_MARGIN, soft=PHOTO_SOFT)


def framed_for(card: FaceCrop, detector: str) -> FaceCrop:
    """How faces found by `detector` are cropped for a network whose card names another detector. Detectors draw boxes
    of different size around a face, so each is calibrated to the framing of FER2013. For a network that was trained on
    crops (its card says “none”) this is FER2013's framing itself.
    """
    if detector == card.detector:
        return card
    ratio = (1 + DETECTORS.get(detector).margin) / (1 + DETECTORS.get(card.detector).margin)
    return card.model_copy(update={"detector": detector, "margin": (1 + card.margin) * ratio - 1})
