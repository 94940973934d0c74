"""What explaining costs beside predicting: `python -m tests.benchmarks.explanation [NETWORK] [PICTURES]`.

One run, one thread: a forward pass over the pictures (inference mode), Grad-CAM, the maps of jacobgil's grad-cam package
if it is installed (it goes back through the whole network), integrated gradients and occlusion on a part of them, and
the time to one map as the page asks for it. All take turns, so that a slow moment of the machine meets each; medians.
"""

import platform
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np
import torch

from fer_core.checkpoint import load_network
from fer_core.datasets.synthetic import draw_faces
from fer_core.explanation import BATCH, explain
from fer_core.images import fit, normalise, to_tensor
from fer_core.inference import predict_logits
from fer_core.models import NETWORKS
from fer_core.runs.store import find

REPEATS, GOAL, INTERACTIVE = 3, 1.2, 300


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "small-vgg"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 3589
    torch.set_num_threads(1)
    model, card = load_network(find(name).folder)
    spec, layer = card.image, NETWORKS.get(card.network).attribution_layer
    faces = draw_faces(256, size=spec.height, channels=spec.channels).images
    images = np.stack([fit(face, spec) for face in faces])[np.arange(count) % 256]
    targets = predict_logits(model, images, spec).argmax(axis=1).tolist()
    few = min(128, count)

    jobs: dict[str, Callable[[], object]] = {
        "forward": lambda: predict_logits(model, images, spec, batch=BATCH),
        "grad-cam": lambda: explain(model, images, spec, targets, "grad-cam", layer),
        "integrated-gradients": lambda: explain(model, images[:few], spec, targets[:few], "integrated-gradients"),
        "occlusion": lambda: explain(model, images[:few], spec, targets[:few], "occlusion"),
        "one map": lambda: explain(model, images[:1], spec, targets[:1], "grad-cam", layer),
    }
    try:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError:
        print("grad-cam is not installed (pip install grad-cam): left out")
    else:

        def theirs() -> None:
            with GradCAM(model=model, target_layers=[model.get_submodule(layer)]) as cam:
                for start in range(0, count, BATCH):
                    inputs = normalise(to_tensor(images[start : start + BATCH]), spec)
                    cam(inputs, [ClassifierOutputTarget(t) for t in targets[start : start + BATCH]])

        jobs["grad-cam package"] = theirs

    for job in jobs.values() if count <= 256 else [jobs["one map"]]:
        job()  # warm up
    seconds: dict[str, list[float]] = {job: [] for job in jobs}
    for _ in range(REPEATS):
        for job, run in jobs.items():
            start = perf_counter()
            run()
            seconds[job].append(perf_counter() - start)
    took = {job: median(times) for job, times in seconds.items()}
    print(
        f"Python {platform.python_version()}, torch {torch.__version__}, one thread; {name}, {count:,} pictures, layer {layer}"
    )
    print(f"  forward pass        {took['forward']:8.2f} s   {count / took['forward']:.0f} pictures a second")
    ratio = took["grad-cam"] / took["forward"]
    print(f"  Grad-CAM            {took['grad-cam']:8.2f} s   {ratio:.2f} times the forward pass; goal: at most {GOAL}")
    if theirs_took := took.get("grad-cam package"):
        print(f"  grad-cam package    {theirs_took:8.2f} s   {theirs_took / took['grad-cam']:.1f} times ours")
    for job in ("integrated-gradients", "occlusion"):
        print(f"  {job:<20}{took[job]:7.2f} s   for {few} pictures, {1e3 * took[job] / few:.0f} ms each")
    print(f"  one map             {1e3 * took['one map']:8.0f} ms  goal: under {INTERACTIVE}")


if __name__ == "__main__":
    main()
