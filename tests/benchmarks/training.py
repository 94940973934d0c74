"""What a training step costs, against the pipeline that everybody writes and against the bare network, in one run.

`python -m tests.benchmarks.training [FER2013_CSV] [REPEATS]`. Without a csv, rendered heads and a csv made of them are used.
The runs of the compared things alternate, so that a busy machine slows all of them alike; medians over the repeats.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import psutil
import torch
import torch.nn.functional as F
from PIL import Image

from fer_core.datasets import Dataset, open_dataset
from fer_core.labels import FER7
from fer_core.models import NETWORKS, build
from fer_core.recipe import TrainConfig
from fer_core.runs.folder import RunFolder
from fer_core.training.device import describe, pick_device
from fer_core.training.loop import Trainer

BATCH = 64
STEPS = 6  # of each thing in a repeat
PICTURES = 1_500  # written as files for the usual pipeline
RECIPE = {
    "network": "small-vgg", "batch_size": BATCH, "epochs": 1000, "ema": 0.998,
    "augment": {"flip": 0.5, "rotate": 10, "scale": 0.1, "translate": 0.06},
}  # fmt: skip


def usual(folder: Path, dataset: Dataset) -> Callable[[], None]:
    """ImageFolder, torchvision's transforms image by image, a DataLoader without workers, fp32."""
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    for number, row in enumerate(dataset.rows("train")[:PICTURES]):
        place = folder / str(dataset.index["label"].iloc[row])
        place.mkdir(exist_ok=True, parents=True)
        Image.fromarray(dataset.picture(int(row))).save(place / f"{number}.png")
    steps = [
        transforms.Grayscale(), transforms.RandomHorizontalFlip(),
        transforms.RandomAffine(10, translate=(0.06, 0.06), scale=(0.9, 1.1)),
        transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,)),
    ]  # fmt: skip
    pictures = ImageFolder(folder, transforms.Compose(steps))
    loader = torch.utils.data.DataLoader(pictures, BATCH, shuffle=True, drop_last=True)
    device = pick_device("auto")
    model = build("small-vgg", classes=7, spec=NETWORKS.get("small-vgg").spec).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)
    batches = iter(loader)

    def step() -> None:
        nonlocal batches
        images, labels = next(batches, (None, None))
        if images is None:
            batches = iter(loader)
            images, labels = next(batches)
        loss = F.cross_entropy(model(images.to(device)), labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def ours(dataset: Dataset) -> tuple[Trainer, Callable[[], None]]:
    run = RunFolder.create("benchmark", TrainConfig.model_validate(RECIPE), "")
    trainer = Trainer(run, dataset)
    trainer.state.to_train()
    random = np.random.default_rng(0)

    def step() -> None:
        sums = trainer._step(random.permutation(len(trainer.task.rows))[:BATCH])
        trainer.state.position.step += 1
        sums.tolist()

    return trainer, step


def bare(trainer: Trainer) -> Callable[[], None]:
    """Forward, backward and update on one batch that lies ready, in the precision and layout of `trainer`."""
    device = trainer.state.device
    model = (
        build("small-vgg", classes=7, spec=trainer.task.spec).to(device).to(memory_format=trainer.state.layout).train()
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)
    images = torch.randn(BATCH, *trainer.task.spec.shape, device=device).contiguous(memory_format=trainer.state.layout)
    labels = torch.arange(BATCH, device=device) % 7
    enabled = trainer.state.precision != "fp32"

    def step() -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled):
            logits = model(images)
        loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def alternate(things: dict[str, Callable[[], None]], repeats: int) -> dict[str, list[float]]:
    """Seconds a step of each, one list entry a repeat; a first round that is not counted warms all of them up."""
    taken: dict[str, list[float]] = {name: [] for name in things}
    for repeat in range(repeats + 1):
        for name, step in things.items():
            start = time.perf_counter()
            for _ in range(STEPS):
                step()
            if repeat:
                taken[name].append((time.perf_counter() - start) / STEPS)
    return taken


def row_loop(path: Path, rows: int) -> float:
    """Seconds for the usual loop over the csv's rows with `split`, measured on the first `rows` and scaled up."""
    table = pd.read_csv(path)
    start = time.perf_counter()
    for _, row in table.head(rows).iterrows():
        np.array(row["pixels"].split(" "), dtype="uint8").reshape(48, 48)
    each = (time.perf_counter() - start) / rows
    start = time.perf_counter()
    pd.read_csv(path)
    return each * len(table) + time.perf_counter() - start


def csv_of(dataset: Dataset, path: Path) -> Path:
    """A csv in FER2013's layout of a set's images, in 48 x 48."""
    rows = [
        f"{FER7.names.index(str(dataset.index['label'].iloc[i]))},{' '.join(map(str, dataset.picture(i).ravel()))},Training"
        for i in range(len(dataset))
    ]
    path.write_text("emotion,pixels,Usage\n" + "\n".join(rows) + "\n")
    return path


def main() -> None:
    given = [argument for argument in sys.argv[1:] if not argument.isdigit()]
    repeats = int(next((argument for argument in sys.argv[1:] if argument.isdigit()), 7))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FERSCOPE_HOME"] = folder
        built_in = None if given else open_dataset("heads")
        path = Path(given[0]) if given else csv_of(built_in, Path(folder) / "made.csv")
        start = time.perf_counter()
        dataset = open_dataset(path)
        first = time.perf_counter() - start
        cached = []
        for _ in range(repeats):
            start = time.perf_counter()
            dataset = open_dataset(path)
            cached.append(time.perf_counter() - start)
        loop = row_loop(path, 1_500)
        trainer, step = ours(dataset)
        things = {"usual": usual(Path(folder) / "pictures", dataset), "ours": step, "bare": bare(trainer)}
        taken = alternate(things, repeats)
    middle = {name: median(times) for name, times in taken.items()}
    ratios = {
        "usual / ours": [a / b for a, b in zip(taken["usual"], taken["ours"], strict=True)],
        "ours / bare": [a / b for a, b in zip(taken["ours"], taken["bare"], strict=True)],
    }
    data = trainer.state.position.tally.data_seconds / trainer.state.position.tally.step_seconds
    print(f"{describe(trainer.state.device)}, torch {torch.__version__}; {trainer.state.speed_note}")
    for name, seconds in middle.items():
        print(f"{name:6s} {1000 * seconds:7.1f} ms a step of {BATCH}, {BATCH / seconds:6.0f} images/s")
    print(f"(a) ours is {median(ratios['usual / ours']):.2f} times as fast as the usual pipeline (goal: at least 3)")
    print(f"(b) our step takes {median(ratios['ours / bare']):.3f} of the bare step's time (goal: at most 1.05)")
    print(f"    reading, augmenting and normalising: {data:.1%} of our step")
    print(f"(c) resident memory {psutil.Process().memory_info().rss / 1e6:.0f} MB with all three in it")
    print(
        f"(d) {len(dataset):,} rows: first opening {first:.2f} s, {loop / first:.1f} times as fast as a loop over rows "
        f"({loop:.1f} s; goal: at least 3); from the cache {median(cached):.4f} s (goal: below 0.2)"
    )
    print(f"medians of {repeats} repeats")


if __name__ == "__main__":
    main()
