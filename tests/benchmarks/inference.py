"""How fast images are answered: `python -m tests.benchmarks.inference [IMAGES] [NETWORK ...]`.

One run: ours (`predict_logits`) with the mirror image, eager torch as a loop would call it (16 images a pass, one view after the
other), onnxruntime and OpenVINO where they are installed, in turns, so that a slow moment of the machine meets each. Printed: the
median time an image on the clock, the median over rounds of the ratio to eager torch, and the largest difference of a logit. Then
ten crops for all images beside ten crops where the answer is close, ours and eager, and what a face of a photo takes.
Rendered heads are the images, so that anybody can run it. Goals: 1.3 times as fast as eager torch, ten crops 2.4 times.
"""

import io
import platform
import sys
import warnings
from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np
import torch
from skimage.data import astronaut
from torch import nn

from fer_core.checkpoint import Card, load_network
from fer_core.datasets import open_dataset
from fer_core.faces import find_faces
from fer_core.images import normalise, to_tensor
from fer_core.models.logits import IF_CLOSE, close, predict_logits, views
from fer_core.runs.store import find
from fer_core.serving.predictor import Predictor
from fer_core.workspace import CHECKPOINTS

PASS, ROUNDS = 16, 5
Answer = Callable[[str], np.ndarray]  # test-time augmentation -> logits of all images


def eager(run: Callable[[torch.Tensor], torch.Tensor], images: np.ndarray, card: Card) -> Answer:
    """A loop over passes and views around `run`."""

    def answer(tta: str) -> np.ndarray:
        seen, parts = views(tta, card.image.height, card.image.width), []
        with torch.inference_mode():
            for start in range(0, len(images), PASS):
                inputs = normalise(to_tensor(images[start : start + PASS]), card.image)
                parts.append(sum(run(view.of(inputs)) for view in seen) / len(seen))
        return torch.cat(parts).numpy()

    return answer


def others(model: nn.Module, card: Card) -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
    """onnxruntime and OpenVINO with as many threads as torch has."""
    try:
        import onnxruntime
    except ImportError:
        print("onnxruntime is not installed (pip install 'ferscope[export]'): left out")
        return {}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (torch.zeros(2, *card.image.shape),), buffer, input_names=["images"], output_names=["logits"],
            dynamic_axes={"images": {0: "n"}, "logits": {0: "n"}}, opset_version=18, dynamo=False,
        )  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(buffer.getvalue(), options, providers=["CPUExecutionProvider"])
    found = {"onnxruntime": lambda inputs: torch.from_numpy(session.run(None, {"images": inputs.numpy()})[0])}
    try:
        import openvino
    except ImportError:
        print("openvino is not installed: left out")
        return found
    core = openvino.Core()
    core.set_property("CPU", {"INFERENCE_NUM_THREADS": torch.get_num_threads()})
    compiled = core.compile_model(core.read_model(buffer.getvalue()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return found | {"OpenVINO": lambda inputs: torch.from_numpy(compiled(inputs.numpy())[0].copy())}


def in_turns(ways: dict[str, Callable[[], np.ndarray]]) -> dict[str, list[float]]:
    """Seconds of each way in each round; a first round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS + 1):
        for name, work in ways.items():
            start = perf_counter()
            work()
            if turn:
                seconds[name].append(perf_counter() - start)
    return seconds


def told(seconds: dict[str, list[float]], first: str, count: int, what: str) -> None:
    for name, own in seconds.items():
        ratio = median(base / mine for base, mine in zip(seconds[first], own, strict=True))
        print(f"  {name:34s} {1e3 * median(own) / count:7.2f} ms {what}, {ratio:.2f} times as fast as {first}")


def measure(name: str, count: int) -> None:
    model, card = load_network(find(name).folder)
    faces = open_dataset("heads").images(card.image)
    images = np.array(faces[np.arange(count) % len(faces)])
    by_name = {"eager torch": eager(model, images, card)}
    by_name["ours"] = lambda tta: predict_logits(model, images, card.image, tta=tta)
    by_name |= {name: eager(run, images, card) for name, run in others(model, card).items()}
    print(f"{name}, {count} images and their mirror images")
    told(
        in_turns({name: lambda way=way: way("flip") for name, way in by_name.items()}), "eager torch", count, "an image"
    )
    wanted = by_name["eager torch"]("flip")
    for other, way in by_name.items():
        print(f"  {other:34s} largest difference of a logit {np.abs(way('flip') - wanted).max():.1e}")
    share = close(torch.from_numpy(wanted)).float().mean()
    few = slice(0, max(PASS, count // 4))
    crops = {
        "eager torch, ten crops": lambda: eager(model, images[few], card)("ten-crop"),
        "ours, ten crops": lambda: predict_logits(model, images[few], card.image, tta="ten-crop"),
        "ours, ten crops if close": lambda: predict_logits(model, images[few], card.image, tta=IF_CLOSE),
    }
    print(f"  ten crops; the answers of {100 * share:.0f} % of these images are close")
    told(in_turns(crops), "eager torch, ten crops", len(images[few]), "an image")
    photo, predictor = astronaut(), Predictor(find(name).folder)
    found = find_faces(photo)
    one = predictor.predict_faces(photo, found)[0].picture[None]
    parts = {
        "eager torch, one face": lambda: eager(model, one, card)(card.tta.removesuffix("-if-close")),
        "ours, one face cut out": lambda: predictor.predict_faces(photo, found),
        "face detection": lambda: find_faces(photo),
    }
    told(in_turns(parts), "eager torch, one face", 1, "a photo of 512 x 512")


if __name__ == "__main__":
    flags = torch.backends.cpu.get_cpu_capability()
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {flags}, {platform.processor() or platform.machine()}"
    )
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 192
    for given in sys.argv[2:] or [path.name for path in sorted(CHECKPOINTS.iterdir())]:
        measure(given, count)
