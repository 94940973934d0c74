"""What explaining costs beside predicting: `python -m tests.benchmarks.explanation [PICTURES] [NETWORK ...]`.

One run, one thread, all shipped networks unless some are named. A forward pass over the images (inference mode),
Grad-CAM and the maps of jacobgil's grad-cam package, if it is installed (it goes back through the whole network), take
turns batch by batch, so that a slow moment of the machine meets each. Then integrated gradients and occlusion on a few
images, and the time to one map as the page asks for it. Times are the processor's, which a busy machine does not
stretch; of the one map the time a person waits is given too.

Goals: Grad-CAM costs at most 1.2 times the forward pass; one map is there in 300 ms.
"""

import platform
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter, process_time

import numpy as np
import torch

from fer_core.checkpoint import load_network
from fer_core.datasets import open_dataset
from fer_core.explanation import explain
from fer_core.images import fit, normalise, to_tensor
from fer_core.models import attribution_layer
from fer_core.models.logits import predict_logits
from fer_core.runs.store import find
from fer_core.workspace import CHECKPOINTS

GOAL, INTERACTIVE = 1.2, 300
BATCH = 128
FEW, MAPS = 16, 9  # images for the slow methods; single maps, of which the median counts


def seconds(work: Callable[[], object]) -> float:
    start = process_time()
    work()
    return process_time() - start


def measure(name: str, count: int) -> bool:
    model, card = load_network(find(name).folder)
    spec, layer = card.image, attribution_layer(card.network, model)
    faces = open_dataset("heads").images(spec)[:BATCH]
    images = np.stack([fit(face, spec) for face in faces])
    targets = predict_logits(model, images, spec).argmax(axis=1).tolist()

    def maps(method: str, some: int, layer: str | None = None) -> Callable[[], object]:
        return lambda: explain(model, images[:some], spec, targets[:some], method, layer)

    passes: dict[str, Callable[[int], Callable[[], object]]] = {
        "forward pass": lambda some: lambda: predict_logits(model, images[:some], spec),
        "Grad-CAM": lambda some: maps("grad-cam", some, layer),
    }
    try:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError:
        print("grad-cam is not installed (pip install grad-cam): left out")
    else:

        def theirs(some: int) -> Callable[[], object]:
            def run() -> None:
                with GradCAM(model=model, target_layers=[model.get_submodule(layer)]) as cam:
                    inputs = normalise(to_tensor(images[:some]), spec)
                    cam(inputs, [ClassifierOutputTarget(target) for target in targets[:some]])

            return run

        passes["grad-cam package"] = theirs

    for work in passes.values():
        work(8)()  # warm up: imports, and the first call of each kernel
    took = dict.fromkeys(passes, 0.0)
    for start in range(0, count, BATCH):
        for title, work in passes.items():
            took[title] += seconds(work(min(BATCH, count - start)))
    slow = {method: seconds(maps(method, FEW)) / FEW for method in ("integrated-gradients", "occlusion")}
    waited, worked = [], []
    for _ in range(MAPS):
        start = perf_counter()
        worked.append(seconds(maps("grad-cam", 1, layer)))
        waited.append(perf_counter() - start)

    ratio = took["Grad-CAM"] / took["forward pass"]
    print(f"{name}, {count:,} images of {spec.width} x {spec.height}, layer {layer}")
    for title, time in took.items():
        print(f"  {title:<20} {time:7.2f} s   {time / took['forward pass']:.2f} times the forward pass")
    for method, time in slow.items():
        print(f"  {method:<20} {1e3 * time:7.0f} ms an image")
    print(f"  {'one map':<20} {1e3 * median(worked):7.0f} ms, {1e3 * median(waited):.0f} ms waited", flush=True)
    return ratio <= GOAL and 1e3 * median(worked) < INTERACTIVE


def main(count: int = 3589, *names: str) -> int:
    torch.set_num_threads(1)
    print(f"Python {platform.python_version()}, torch {torch.__version__}, one thread, processor time")
    shipped = sorted(path.parent.name for path in CHECKPOINTS.glob("*/card.json"))
    good = [measure(name, count) for name in names or shipped]
    print(f"goals: Grad-CAM at most {GOAL} times the forward pass, one map under {INTERACTIVE} ms")
    return int(not all(good))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2]), *sys.argv[2:]))
