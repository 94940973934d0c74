"""Networks that never were trained, for the pages' tests: real cards, histories and predictions tables."""

from pathlib import Path

import numpy as np
from PIL import Image

from fer_core.checkpoint import Card, Cost, write_card
from fer_core.datasets import Dataset
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.report import evaluate
from fer_core.faces import FaceCrop
from fer_core.images import ImageSpec
from fer_core.labels import FER7
from fer_core.recipe import TrainConfig
from fer_core.runs.folder import EpochResult, RunFolder, RunStatus
from fer_core.workspace import runs


def predictions_on(dataset: Dataset, split: str, *, skill: float = 0.6, seed: int = 0) -> Predictions:
    """Made-up predictions on a data set's split, of which a little more than `skill` are right."""
    index = dataset.index.iloc[dataset.rows(split)]
    hashes = index["hash"].tolist()
    return _predictions(index["id"].tolist(), index["label"].tolist(), dataset.name, split, skill, seed, hashes)


def predictions_elsewhere(n: int = 210, *, skill: float = 0.6, seed: int = 0) -> Predictions:
    """Made-up predictions on a data set that this machine does not have; each expression occurs equally often."""
    labels = [FER7.names[i % len(FER7)] for i in range(n)]
    return _predictions([f"{i:05d}" for i in range(n)], labels, "elsewhere", "val", skill, seed)


def _predictions(
    ids: list[str],
    labels: list[str],
    dataset: str,
    split: str,
    skill: float,
    seed: int,
    hashes: list[str] | None = None,
) -> Predictions:
    random = np.random.default_rng(seed)
    n, k = len(ids), len(FER7)
    label = np.array([FER7.index(name) for name in labels])
    answer = np.where(random.random(n) < skill, label, random.integers(0, k, n))
    logits = random.normal(size=(n, k)) + 4 * np.eye(k)[answer]
    return Predictions.from_logits(ids, dataset, split, labels, logits, FER7, hashes)


def make_pictures(root: Path, each: int = 6) -> Path:
    """A `<split>/<class>/` folder of small images, no two alike: `each` of an expression in val, twice as many in train."""
    random = np.random.default_rng(0)
    for split, count in (("train", 2 * each), ("val", each)):
        for label in FER7.names:
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(random.integers(0, 256, (24, 24), dtype=np.uint8)).save(folder / f"{number:02d}.png")
    return root


def make_network(name: str, predictions: Predictions | None, *, title: str = "", epochs: int = 6) -> Path:
    """A finished run's folder in the workspace, without weights."""
    run = RunFolder(runs() / name)
    run.path.mkdir(parents=True)
    (run.path / "config.toml").write_text('network = "small-vgg"\n', encoding="utf-8")
    run.write(RunStatus(state="finished", epoch=epochs, epochs=epochs, steps=10))
    run.write_metrics([_epoch(number) for number in range(1, epochs + 1)])
    results = {}
    if predictions is not None:
        key = f"{predictions.table['dataset'].iloc[0]}-{predictions.table['split'].iloc[0]}"
        predictions.write(run.path / f"predictions-{key}.parquet")
        results[key] = evaluate(predictions).to_json()
    card = Card(
        name=name,
        title=title or name,
        network="small-vgg",
        parameters=1_174_439,
        expressions_name=FER7.name,
        expressions=FER7.names,
        image=ImageSpec(channels=1, height=48, width=48),
        face=FaceCrop(),
        data="made for a test",
        train_images=1000,
        chosen_on="elsewhere, val (210 images)",
        best_epoch=epochs,
        epochs=epochs,
        seed=0,
        recipe=TrainConfig(network="small-vgg").model_dump(mode="json"),
        versions={},
        cost=Cost(cpu_minutes=12.3, wall_minutes=7.0, device="x86_64 processor, 1 thread", images_per_second=400),
        created="2026-01-01T00:00:00+00:00",
        results=results,
    )
    write_card(run.path, card)
    return run.path


def _epoch(number: int) -> EpochResult:
    gain = 1 - 0.7**number
    return EpochResult(
        epoch=number, train_loss=2 - 1.1 * gain, train_accuracy=0.6 * gain, val_loss=2 - gain, val_accuracy=0.66 * gain,
        lr=0.1, images_per_second=400, data_share=0.02, cpu_seconds=60, wall_seconds=35,
    )  # fmt: skip
