"""The evaluation report: one HTML file without scripts, a model card per network, and all tables as csv."""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from fer_core import __version__
from fer_core.datasets import Dataset
from fer_core.datasets.titles import table_in_words, table_title
from fer_core.errors import DataError
from fer_core.evaluation.calibration import (
    calibration_error,
    reliability,
    risk_coverage,
    validation_split,
    with_temperature,
)
from fer_core.evaluation.comparison import all_pairs, compare, leaderboard, p_value, shared_images
from fer_core.evaluation.confusion import most_confused
from fer_core.evaluation.gallery import Filter, examples, positions, select, why_not_shared
from fer_core.evaluation.intervals import Interval
from fer_core.evaluation.optimism import in_words
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.report import CLASS_FIGURES, EvaluationReport, evaluate, figures_table, headline
from fer_core.evaluation.results import leaks_in_words
from fer_core.evaluation.seeds import over_seeds
from fer_core.reports import charts
from fer_core.reports.html import Cell, render, share
from fer_core.runs.store import Checkpoint
from fer_core.spreadsheet import as_csv

SENTENCES = 6  # pairs of networks that get a sentence each; more are a table
WORST = 12  # images
RANKED = ("accuracy", "macro_f1", "balanced_accuracy")
LIMITS = (
    "Expressions are what a face shows, not what a person feels.",
    "Made for teaching, research and finding errors; not for decisions about people.",
    "One split of one data set with labels that people dispute; other cameras, ages and cultures may give other figures.",
    "Figures on the images that chose the epoch are slightly optimistic.",
)

Tables = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Drawn:
    """A chart of a report, what it shows, and the table behind it, which is also written as `<name>.csv`."""

    svg: Markup
    caption: str
    table: pd.DataFrame
    name: str


def shared_table(networks: Iterable[Checkpoint]) -> str:
    """The first “<data set>-<split>” that all networks were evaluated on.

    Raises:
        DataError: there is none.
    """
    tables = {network.name: list(network.tables) for network in networks}
    first, *others = tables.values()
    for key in first:
        if all(key in other for other in others):
            return key
    known = "; ".join(f"{name}: {', '.join(keys) or 'none'}" for name, keys in tables.items())
    raise DataError(
        f"These networks were not evaluated on one data set and split ({known}); "
        "`ferscope evaluate NETWORK --data DATA --split SPLIT` writes a table."
    )


def distinct_titles(networks: Iterable[Checkpoint]) -> dict[str, str]:
    """Unique titles of networks; the name is added where several have the same title."""
    known = {network.name: network.card.title for network in networks}
    often = Counter(known.values())
    return {name: title if often[title] == 1 else f"{title} ({name})" for name, title in known.items()}


@dataclass(frozen=True)
class Document:
    """A report: the page, a model card in Markdown by network, and the tables behind the figures by name."""

    html: str
    cards: dict[str, str]
    tables: Tables

    def files(self) -> dict[str, bytes]:
        """Everything by file name: `report.html`, `<network>.md` and `<table>.csv`."""
        return {
            "report.html": self.html.encode(),
            **{f"{name}.md": text.encode() for name, text in self.cards.items()},
            **{f"{name}.csv": as_csv(table).encode() for name, table in self.tables.items()},
        }

    def write(self, folder: Path) -> list[Path]:
        """Write all files into a folder, the page first. Other files in it stay unchanged.

        Raises:
            DataError: the folder cannot be written to.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in self.files().items():
                (folder / name).write_bytes(content)
        except OSError as error:
            raise DataError(f"The report cannot be written to {folder} ({error}); name another folder.") from error
        return [folder / name for name in self.files()]

    def zipped(self) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self.files().items():
                archive.writestr(name, content)
        return buffer.getvalue()


def document(networks: Sequence[Checkpoint], key: str = "", dataset: Dataset | None = None) -> Document:
    """The report of one or more networks on one data set and split.

    Args:
        key: “<data set>-<split>”; the first that all have when not given.
        dataset: the images. Each network's worst errors are shown where the set's licence allows it.

    Raises:
        DataError: no network, no common table, or no image that all were evaluated on.
        UnknownName: a network was not evaluated on `key`.
    """
    if not networks:
        raise DataError("Name one or more networks to report on.")
    key = key or shared_table(networks)
    answers = {network.name: network.predictions(key) for network in networks}
    reports = {name: evaluate(predictions) for name, predictions in answers.items()}
    titles = distinct_titles(networks)
    tables: Tables = {}
    html = render(
        "evaluation.html",
        title=f"{', '.join(titles.values())}: {table_title(key)}",
        version=__version__,
        today=f"{datetime.now(UTC):%Y-%m-%d}",
        data=table_in_words(key),
        together=_together(titles, answers, tables) if len(networks) > 1 else None,
        splits=_splits(networks, titles, tables),
        networks=[
            _one(network, titles[network.name], key, answers[network.name], reports[network.name], tables)
            | _worst(answers[network.name], dataset)
            for network in networks
        ],
        limits=LIMITS,
    )
    cards = {network.name: model_card(network, key, reports[network.name]) for network in networks}
    return Document(html, cards, tables)


def _shares(row: Mapping[Any, Any], figures: Iterable[str]) -> list[Cell]:
    """Some figures of a table's row in per cent, each with its interval."""
    return [share(row[figure], Interval(row[f"{figure}_low"], row[f"{figure}_high"])) for figure in figures]


def _off(answers: Predictions) -> str:
    """The debiased calibration error, with the usual ECE and its chance level."""
    found = calibration_error(answers)
    return (
        f"{100 * found.debiased:.1f} points ({found.interval.text()}; ECE {100 * found.ece:.1f}, "
        f"{100 * found.by_chance:.1f} by chance alone)"
    )


def _together(titles: dict[str, str], answers: dict[str, Predictions], tables: Tables) -> dict[str, Any]:
    """The networks ranked and compared pair by pair."""
    board = leaderboard(answers)
    board.insert(1, "title", board["name"].map(titles))
    pairs = all_pairs(answers)
    tables["leaderboard"], tables["pairs"] = board, pairs
    rows = [
        [
            row["title"], row["letters"], *_shares(row, RANKED), f"{row['n']:,}",
            p_value(row["p_best"]) if place else "–",
        ]
        for place, row in enumerate(board.to_dict("records"))
    ]  # fmt: skip
    drawing = charts.svg(charts.networks(board, str(board["name"].iloc[0])), f"Accuracy of {len(board)} networks", 360)
    return {
        "sentences": _sentences(pairs, titles, answers),
        "header": (
            "Network", "Letters", "Accuracy, %", "Macro-F1, %", "Balanced accuracy, %", "n", "p against the best",
        ),
        "rows": rows,
        "figure": Drawn(drawing, "Accuracy and macro-F1 with 95 % confidence intervals.", board, "leaderboard"),
    }  # fmt: skip


def _sentences(pairs: pd.DataFrame, titles: dict[str, str], answers: dict[str, Predictions]) -> list[str]:
    """Which networks differ, in a sentence for each pair or, of many, in a count."""
    if len(pairs) > SENTENCES:
        told = int((pairs["p_adjusted"] <= 0.05).sum())
        return [f"Of {len(pairs):,} pairs, {told:,} differ significantly after Holm's correction."]
    shared = shared_images(answers)
    found = []
    for a, b, p in zip(pairs["a"], pairs["b"], pairs["p_adjusted"], strict=True):
        two = compare(shared[a], shared[b])
        two = replace(two, test=replace(two.test, p=p))  # by the groups' p: the table must not contradict
        found.append(two.sentence(titles[a], titles[b]))
    return found


def split_figures(networks: Iterable[Checkpoint]) -> pd.DataFrame:
    """The figures of networks on every data set and split they were evaluated on.

    Returns:
        One row a network and table: `name`, `table`, `n`, `accuracy`, `macro_f1`, `balanced_accuracy`, each with
        `_low` and `_high`.
    """
    rows = []
    for network in networks:
        for key in network.tables:
            known = headline(network.predictions(key))
            row: dict[str, object] = {"name": network.name, "table": key, "n": known.n}
            for figure in RANKED:
                row[figure] = getattr(known, figure)
                row[f"{figure}_low"], row[f"{figure}_high"] = getattr(known, f"{figure}_interval")
            rows.append(row)
    return pd.DataFrame(rows)


def _splits(networks: Sequence[Checkpoint], titles: dict[str, str], tables: Tables) -> dict[str, Any]:
    """Every table of the networks side by side, and mean and deviation where several seeds of a recipe are among them."""
    figures = split_figures(networks)
    tables["splits"] = figures
    cards = {network.name: network.card for network in networks}
    found = {str(key): over_seeds(cards, group) for key, group in figures.groupby("table", sort=False)}
    found = {key: seeds for key, seeds in found.items() if len(seeds)}
    tables.update({f"seeds-{key}": seeds for key, seeds in found.items()})
    return {
        "header": ("Network", "Data and split", "Accuracy, %", "Macro-F1, %", "n"),
        "rows": [
            [titles[row["name"]], table_title(row["table"]), *_shares(row, ("accuracy", "macro_f1")), f"{row['n']:,}"]
            for row in figures.to_dict("records")
        ],
        "seeds": [
            {
                "data": table_in_words(key),
                "header": ("Recipe of", "Accuracy, %", "Macro-F1, %", "Seeds"),
                "rows": [[row["title"], *_deviations(row), str(row["seeds"])] for row in seeds.to_dict("records")],
            }
            for key, seeds in found.items()
        ],
    }


def _deviations(row: Mapping[Any, Any]) -> list[str]:
    return [
        f"{100 * row[f'{figure}_mean']:.1f} ± {100 * row[f'{figure}_sd']:.1f}" for figure in ("accuracy", "macro_f1")
    ]


def _one(
    network: Checkpoint, title: str, key: str, answers: Predictions, report: EvaluationReport, tables: Tables
) -> dict[str, Any]:
    """A network's figures, as its section of the page shows them."""
    name = network.name
    classes = pd.DataFrame(report.per_class)
    tables[f"{name}-expressions"], tables[f"{name}-figures"] = classes, figures_table(report)
    return {
        "title": title,
        "n": report.n,
        "accuracy": report.accuracy,
        "accuracy_interval": report.accuracy_interval.text(),
        "macro_f1": report.macro_f1,
        "macro_f1_interval": report.macro_f1_interval.text(),
        "leaked": leaks_in_words(network.card.results.get(key, {})),
        "confused": "; ".join(
            f"{pair.label} predicted as {pair.predicted} ({pair.count:,}, {100 * pair.share:.1f} % of {pair.label})"
            for pair in most_confused(report.confusion, report.expressions)
        ),
        "matrix": _matrix(name, report, tables),
        "header": (
            "Expression", "Precision, %", "Recall, %", "F1, %", "AUROC, %", "Average precision, %", "n labelled",
            "n predicted",
        ),
        "rows": [
            [row["expression"], *_shares(row, CLASS_FIGURES), f"{row['support']:,}", f"{row['predicted']:,}"]
            for row in classes.to_dict("records")
        ],
        **_confidence(network, answers, tables),
        "figures": tables[f"{name}-figures"].to_numpy().tolist(),
        "facts": _facts(network),
    }  # fmt: skip


def _matrix(name: str, report: EvaluationReport, tables: Tables) -> Drawn:
    table = pd.DataFrame(report.confusion, columns=list(report.expressions))
    table.insert(0, "label", report.expressions)
    tables[f"{name}-confusion"] = table
    chart = charts.confusion(report.confusion, report.expressions)
    drawing = charts.svg(chart, "Confusion matrix: rows are labels, columns predictions", 68 * len(report.expressions))
    return Drawn(drawing, "Confusion matrix. Rows are labels with n, columns predictions.", table, f"{name}-confusion")


def _confidence(network: Checkpoint, answers: Predictions, tables: Tables) -> dict[str, Drawn]:
    """The reliability diagram and the risk-coverage curve; nothing where no confidence is known."""
    if answers.only_classes:
        return {}
    card, name = network.card, network.name
    served = with_temperature(answers, card.temperature or 1.0)
    bins, off = {"as trained": reliability(answers)}, f"{_off(answers)} as trained"
    if card.temperature:
        bins[f"calibrated (temperature {card.temperature:.2f})"] = reliability(served)
        off += f", {_off(served)} calibrated"
        if set(answers.table["split"]) == {validation_split(card)}:
            off += ", which is slightly optimistic: the temperature was fitted on these images"
    trust, risk = pd.concat(bins, names=["which"]).reset_index("which"), risk_coverage(served)
    tables[f"{name}-reliability"], tables[f"{name}-risk-coverage"] = trust, risk
    return {
        "reliability": Drawn(
            charts.svg(charts.reliability(bins, "as trained", "confidence (%)"), "Accuracy against confidence"),
            f"Reliability with Wilson intervals; on the dotted line, confidence is accuracy. Calibration error: {off}.",
            trust,
            f"{name}-reliability",
        ),
        "risk_coverage": Drawn(
            charts.svg(charts.risk_coverage(risk), "Accuracy against the share of images answered"),
            "Accuracy of the answers when only the most confident images are answered.",
            risk,
            f"{name}-risk-coverage",
        ),
    }


def _worst(answers: Predictions, dataset: Dataset | None) -> dict[str, Any]:
    """The errors with the highest loss as images, or why they may not be shown; empty without a data set."""
    rendered = dataset is not None and dataset.name == "heads"
    if dataset is None or (reason := why_not_shared(dataset)):
        return {"worst": None if dataset is None else reason, "rendered": rendered}
    worst = select(examples(answers), Filter(outcome="wrong"), "loss").head(WORST)
    faces = [
        {
            "image": dataset.picture(int(place)),
            "words": f"{row['label']} predicted as {row['predicted']}, {100 * row['confidence']:.0f} %",
            "id": row["id"],
        }
        for row, place in zip(worst.to_dict("records"), positions(dataset, worst), strict=True)
        if place >= 0
    ]
    return {"worst": faces, "rendered": rendered}


def _accuracies(network: Checkpoint) -> list[float | None]:
    """Validation accuracy after each epoch."""
    return [epoch.val_accuracy for epoch in network.run.metrics()]


def _facts(network: Checkpoint) -> list[tuple[str, str]]:
    card = network.card
    size = f"{card.image.height} x {card.image.width}, {'grey' if card.image.channels == 1 else 'colour'}"
    return [
        ("Network", card.network + "".join(f", {key} {value}" for key, value in card.arguments.items())),
        ("Parameters", f"{card.parameters:,}"),
        ("Input", size),
        ("Expressions", ", ".join(card.expressions)),
        ("Trained on", f"{card.data}, {card.train_images:,} images"),
        ("Started from", card.start.sentence if card.start else "fresh weights"),
        ("Epoch chosen on", f"{card.chosen_on}: {card.chosen_epoch}"),
        ("What was chosen there", in_words(card, _accuracies(network), shipped=network.shipped) or "nothing"),
        ("Seed", card.seeds),
        ("Test-time augmentation", card.tta),
        ("Temperature", f"{card.temperature:.3f}" if card.temperature else "not fitted"),
        ("Cost", f"{card.cost.time} on {card.cost.device}"),
        ("Made", f"{card.created[:10]} with {', '.join(f'{key} {value}' for key, value in card.versions.items())}"),
    ]


def _plain(text: str) -> str:
    """A text of a card, escaped so that Markdown shows neither HTML nor links. Cards may come from others."""
    return re.sub(r"([\\`*_\[\]|!#~])", r"\\\1", escape(" ".join(text.split()), quote=False))


def model_card(network: Checkpoint, key: str, report: EvaluationReport) -> str:
    """A model card in Markdown (Mitchell et al. 2019, arXiv 1810.03993), with the figures of one table."""
    return render(
        "model_card.md",
        title=_plain(network.card.title),
        data=table_in_words(key),
        n=report.n,
        accuracy=report.accuracy,
        accuracy_interval=report.accuracy_interval.text(),
        macro_f1=report.macro_f1,
        macro_f1_interval=report.macro_f1_interval.text(),
        leaked=leaks_in_words(network.card.results.get(key, {})),
        facts=[(name, _plain(value)) for name, value in _facts(network)],
        classes=[
            [
                _plain(row["expression"]), *(share(row[figure]) for figure in ("precision", "recall", "f1", "auroc")),
                f"{row['support']:,}",
            ]
            for row in report.per_class.to_dict("records")
        ],
        figures=figures_table(report).to_numpy().tolist(),
        limits=LIMITS,
    )  # fmt: skip
