"""A network as a folder that `hf upload` takes as it is: model card, weights, configuration, and FERscope's own card.

A copy of the folder is a checkpoint again: `ferscope evaluate FOLDER` opens it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import yaml

from fer_core.checkpoint import WEIGHTS, weights_path, write_card
from fer_core.errors import DataError
from fer_core.evaluation.report import evaluate
from fer_core.reports.evaluation_report import model_card
from fer_core.runs.store import Checkpoint


def write_model_folder(network: Checkpoint, target: Path) -> list[Path]:
    """Write `README.md`, `config.json`, `card.json` and the weights into a new folder.

    Raises:
        DataError: the folder holds something, or cannot be written.
        CheckpointError: the network has no weights.
    """
    weights = weights_path(network.folder)
    if target.exists() and any(target.iterdir()):
        raise DataError(f"{target} is not empty; name a new folder.")
    try:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(weights, target / WEIGHTS[0])
        write_card(target, network.card)
        (target / "config.json").write_text(json.dumps(_config(network), indent=2) + "\n", encoding="utf-8")
        (target / "README.md").write_text(_readme(network), encoding="utf-8")
    except OSError as error:
        raise DataError(f"The folder {target} cannot be written ({error}); name another one.") from error
    return sorted(target.iterdir())


def _config(network: Checkpoint) -> dict[str, object]:
    """What other programs look for in `config.json`."""
    card = network.card
    return {
        "architectures": [card.network],
        "model_type": "ferscope",
        "id2label": dict(enumerate(card.expressions)),
        "label2id": {name: number for number, name in enumerate(card.expressions)},
        "image_size": [card.image.height, card.image.width],
        "num_channels": card.image.channels,
        "image_mean": list(card.image.mean),
        "image_std": list(card.image.std),
        "temperature": card.temperature,
    }


def _readme(network: Checkpoint) -> str:
    """The hub's front matter, and the model card of the first table; without a table its title alone."""
    card, results = network.card, []
    text = f"# {card.title}\n"
    for number, key in enumerate(network.tables):
        table = network.predictions(key)
        report = evaluate(table)
        if not number:
            text = model_card(network, key, report)
        dataset, _, split = key.rpartition("-")
        metrics = [
            {"type": "accuracy", "value": round(report.accuracy, 4)}, {"type": "f1", "value": round(report.macro_f1, 4)}
        ]  # fmt: skip
        results.append(
            {
                "task": {"type": "image-classification"},
                "dataset": {"name": dataset, "type": dataset, "split": split},
                "metrics": metrics,
            }
        )
    front = {
        "library_name": "ferscope",
        "pipeline_tag": "image-classification",
        "tags": ["facial-expression-recognition"],
        "model-index": [{"name": card.name, "results": results}],
    }
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n{text}"
