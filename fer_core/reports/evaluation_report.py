"""A report of networks that can be sent: one HTML file without a script, a model card each, and every table as csv."""

from __future__ import annotations

import base64
import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from fer_core import __version__
from fer_core.datasets import Dataset
from fer_core.errors import DataError
from fer_core.evaluation.calibration import (
    Bins,
    calibration_error,
    reliability,
    risk_coverage,
    validation_split,
    with_temperature,
)
from fer_core.evaluation.comparison import all_pairs, compare, leaderboard, p_value, shared_images
from fer_core.evaluation.gallery import Filter, examples, positions, select, why_not_shared
from fer_core.evaluation.intervals import Interval
from fer_core.evaluation.metrics import (
    CLASS_FIGURES,
    EvaluationReport,
    evaluate,
    figures_table,
    headline,
    most_confused,
)
from fer_core.evaluation.optimism import in_words
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.seeds import over_seeds
from fer_core.reports import drawings
from fer_core.runs.store import Checkpoint

SENTENCES = 6  # pairs of networks that get a sentence each; more are a table
WORST = 12  # pictures
STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 0.87rem; font-variant-numeric: tabular-nums; margin: 0.6rem 0; }
th, td { text-align: right; padding: 0.2rem 0.6rem; border-bottom: 1px solid #8a909955; font-weight: 400; }
thead th { color: GrayText; vertical-align: bottom; } th:first-child, td:first-child { text-align: left; }
.scroll { overflow-x: auto; } .light, figcaption { color: GrayText; } figcaption { font-size: 0.8rem; }
figure { display: inline-block; margin: 0.6rem 1.2rem 0.6rem 0; vertical-align: top; max-width: 100%; }
figure svg { max-width: 100%; height: auto; } .faces img { width: 96px; height: 96px; image-rendering: pixelated; }
.faces figure { width: 100px; margin: 0.4rem; }
@media print { section { break-inside: avoid-page; } }
"""


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
    """What to call networks: their titles, with the name where several share one."""
    known = {network.name: network.card.title for network in networks}
    often = Counter(known.values())
    return {name: title if often[title] == 1 else f"{title} ({name})" for name, title in known.items()}


@dataclass(frozen=True)
class Document:
    """A report: the page, a model card in Markdown by network, and the tables behind the figures by name."""

    html: str
    cards: dict[str, str]
    tables: dict[str, pd.DataFrame]

    def files(self) -> dict[str, bytes]:
        """Everything by file name: `report.html`, `<network>.md` and `<table>.csv`."""
        return {
            "report.html": self.html.encode(),
            **{f"{name}.md": text.encode() for name, text in self.cards.items()},
            **{f"{name}.csv": table.to_csv(index=False).encode() for name, table in self.tables.items()},
        }

    def write(self, folder: Path) -> list[Path]:
        """Write all files into a folder, the page first; others in it stay as they are.

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
        dataset: the pictures. Each network's worst errors are shown where the set's licence allows it.

    Raises:
        DataError: no network, no common table, or no picture that all have read.
        UnknownName: a network was not evaluated on `key`.
    """
    if not networks:
        raise DataError("Name one network or more to report on.")
    key = key or shared_table(networks)
    answers = {network.name: network.predictions(key) for network in networks}
    reports = {name: evaluate(predictions) for name, predictions in answers.items()}
    titles = distinct_titles(networks)
    tables: dict[str, pd.DataFrame] = {}
    parts = [_together(titles, answers, tables, key)] if len(networks) > 1 else []
    parts.append(_splits(networks, titles, tables))
    for network in networks:
        name = network.name
        parts.append(_one(network, titles[name], answers[name], reports[name], tables, dataset))
    title = f"{', '.join(titles.values())} on {key}"
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width"><style>'
        f"{STYLE}</style></head><body><h1>{escape(title)}</h1><p>Made by FERscope {__version__} on "
        f"{datetime.now(UTC):%Y-%m-%d}. Intervals are 95 %. Figures are computed from the predictions tables alone.</p>"
        f"{''.join(parts)}{_limits()}</body></html>"
    )
    cards = {network.name: model_card(network, key, reports[network.name]) for network in networks}
    return Document(html, cards, tables)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are HTML already; the first column is text, the others figures."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _share(value: float, ends: Interval | None = None) -> str:
    if np.isnan(value):
        return "–"
    if ends is None or np.isnan(ends.low):
        return f"{100 * value:.1f}"
    return f'{100 * value:.1f} <span class="light">{100 * ends.low:.1f} to {100 * ends.high:.1f}</span>'


def _figure(drawing: str, caption: str) -> str:
    return f"<figure>{drawing}<figcaption>{escape(caption)}</figcaption></figure>"


def _off(answers: Predictions) -> str:
    """The debiased calibration error, beside the usual one and what chance gives of that."""
    found = calibration_error(answers)
    return (
        f"{100 * found.debiased:.1f} points ({100 * found.interval.low:.1f} to {100 * found.interval.high:.1f}; ECE "
        f"{100 * found.ece:.1f}, {100 * found.by_chance:.1f} by chance alone)"
    )


def _together(
    titles: dict[str, str], answers: dict[str, Predictions], tables: dict[str, pd.DataFrame], key: str
) -> str:
    board = leaderboard(answers)
    board.insert(1, "title", board["name"].map(titles))
    pairs = all_pairs(answers)
    tables["leaderboard"], tables["pairs"] = board, pairs
    if len(pairs) <= SENTENCES:
        shared = shared_images(answers)
        found = []
        for a, b, p in zip(pairs["a"], pairs["b"], pairs["p_adjusted"], strict=True):
            two = compare(shared[a], shared[b])
            two = replace(two, test=replace(two.test, p=p))  # by the groups' p: the table must not contradict
            found.append(two.sentence(titles[a], titles[b]))
        words = "".join(f"<p>{escape(sentence)}</p>" for sentence in found)
    else:
        told = int((pairs["p_adjusted"] <= 0.05).sum())
        words = f"<p>Of {len(pairs):,} pairs {told:,} differ after Holm's correction.</p>"
    rows = [
        [
            escape(row["title"]),
            row["letters"],
            *(
                _share(row[figure], Interval(row[f"{figure}_low"], row[f"{figure}_high"]))
                for figure in ("accuracy", "macro_f1", "balanced_accuracy")
            ),
            f"{row['n']:,}",
            escape(p_value(row["p_best"])) if place else "–",
        ]
        for place, row in enumerate(board.to_dict("records"))
    ]
    header = ("Network", "Letters", "Accuracy, %", "Macro-F1, %", "Balanced accuracy, %", "n", "p against the best")
    return (
        f"<section><h2>Which is best on {escape(key)}?</h2>{words}{_table(header, rows)}"
        "<p class=light>Two networks that share a letter do not differ significantly: McNemar's exact test on the images that "
        "all have predicted, Holm's correction over all pairs.</p>"
        f"{_figure(drawings.intervals(board, 'accuracy', 'Accuracy'), 'Accuracy with Wilson intervals.')}</section>"
    )


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
            for figure in ("accuracy", "macro_f1", "balanced_accuracy"):
                row[figure] = getattr(known, figure)
                row[f"{figure}_low"], row[f"{figure}_high"] = getattr(known, f"{figure}_interval")
            rows.append(row)
    return pd.DataFrame(rows)


def _splits(networks: Sequence[Checkpoint], titles: dict[str, str], tables: dict[str, pd.DataFrame]) -> str:
    figures = split_figures(networks)
    tables["splits"] = figures
    header = ("Network", "Data and split", "Accuracy, %", "Macro-F1, %", "n")
    rows = [
        [
            escape(titles[row["name"]]),
            escape(row["table"]),
            *(
                _share(row[figure], Interval(row[f"{figure}_low"], row[f"{figure}_high"]))
                for figure in ("accuracy", "macro_f1")
            ),
            f"{row['n']:,}",
        ]
        for row in figures.to_dict("records")
    ]
    parts = [f"<section><h2>Training, validation and test side by side</h2>{_table(header, rows)}"]
    cards = {network.name: network.card for network in networks}
    for key, group in figures.groupby("table", sort=False):
        seeds = over_seeds(cards, group)
        if len(seeds):
            tables[f"seeds-{key}"] = seeds
            parts.append(f"<p>Over seeds, mean ± standard deviation on {escape(str(key))}:</p>")
            parts.append(
                _table(
                    ("Recipe of", "Accuracy, %", "Macro-F1, %", "Seeds"),
                    [
                        [
                            escape(row["title"]),
                            *(
                                f"{100 * row[f'{figure}_mean']:.1f} ± {100 * row[f'{figure}_sd']:.1f}"
                                for figure in ("accuracy", "macro_f1")
                            ),
                            str(row["seeds"]),
                        ]
                        for row in seeds.to_dict("records")
                    ],
                )
            )
    return "".join([*parts, "</section>"])


def _one(
    network: Checkpoint,
    title: str,
    answers: Predictions,
    report: EvaluationReport,
    tables: dict[str, pd.DataFrame],
    dataset: Dataset | None,
) -> str:
    card, name = network.card, network.name
    classes = pd.DataFrame(report.per_class)
    tables[f"{name}-expressions"], tables[f"{name}-figures"] = classes, figures_table(report)
    confusion = pd.DataFrame(report.confusion, columns=list(report.expressions))
    confusion.insert(0, "label", report.expressions)
    tables[f"{name}-confusion"] = confusion
    bins: Bins = "width"
    served = with_temperature(answers, card.temperature or 1.0)
    trust, off = {"as trained": reliability(answers, equal=bins)}, f"{_off(answers)} as trained"
    if card.temperature:
        trust[f"temperature {card.temperature:.2f}"] = reliability(served, equal=bins)
        off += f", {_off(served)} with its temperature"
        if set(answers.table["split"]) == {validation_split(card)}:
            off += ", which was fitted on this part and looks a little better here than elsewhere"
    tables[f"{name}-reliability"] = pd.concat(trust, names=["which"]).reset_index("which")
    risk = risk_coverage(served)
    tables[f"{name}-risk-coverage"] = risk
    low = 0.4 if risk["accuracy"].min() >= 0.4 else 0.0  # what is below the axis would be drawn outside of its frame
    pairs = "; ".join(
        f"{pair.label} read as {pair.predicted} ({pair.count:,}, {100 * pair.share:.1f} % of {pair.label})"
        for pair in most_confused(report.confusion, report.expressions)
    )
    header = (
        "Expression", "Precision, %", "Recall, %", "F1, %", "AUROC, %", "Average precision, %", "n given", "n predicted",
    )  # fmt: skip
    rows = [
        [
            escape(row["expression"]),
            *(_share(row[figure], Interval(row[f"{figure}_low"], row[f"{figure}_high"])) for figure in CLASS_FIGURES),
            f"{row['support']:,}",
            f"{row['predicted']:,}",
        ]
        for row in classes.to_dict("records")
    ]
    figures = [[escape(str(cell)) for cell in row] for row in tables[f"{name}-figures"].to_numpy()]
    return (
        f"<section><h2>{escape(title)}</h2><p>Reads <b>{_share(report.accuracy, report.accuracy_interval)} %</b> of "
        f"{report.n:,} pictures as labelled; macro-F1 {_share(report.macro_f1, report.macro_f1_interval)} %.</p>"
        + (f"<p>Most confused: {escape(pairs)}.</p>" if pairs else "")
        + _figure(drawings.matrix(report.confusion, report.expressions), "Rows are labels with n, columns predictions.")
        + _table(header, rows)
        + _figure(
            drawings.curves(trust, "confidence", "accuracy", ("confidence", "accuracy"), diagonal=True),
            f"Reliability with Wilson intervals; on the dotted line it is as sure as right. Calibration error: {off}.",
        )
        + _figure(
            drawings.curves(
                {"answered, surest first": risk}, "coverage", "accuracy", ("coverage", "accuracy"), low=low
            ),
            "Accuracy of the answers when only the surest pictures are answered.",
        )
        + f"<h3>All figures</h3>{_table(('Figure', 'Value', '95 % interval', 'Range'), figures)}"
        + _worst(answers, dataset)
        + f"<h3>How it was made</h3>{_table(('', ''), [[escape(a), escape(b)] for a, b in _facts(network)])}</section>"
    )


def _worst(answers: Predictions, dataset: Dataset | None) -> str:
    if dataset is None:
        return ""
    if reason := why_not_shared(dataset):
        return f"<h3>Worst errors</h3><p>{escape(reason)}</p>"
    from PIL import Image

    worst = examples(answers)
    worst = select(worst, Filter(outcome="wrong"), "loss").head(WORST)
    faces = []
    for row, place in zip(worst.to_dict("records"), positions(dataset, worst), strict=True):
        if place < 0:
            continue
        buffer = io.BytesIO()
        Image.fromarray(dataset.picture(int(place))).resize((96, 96)).save(buffer, "PNG")
        words = f"{row['label']} read as {row['predicted']}, {100 * row['confidence']:.0f} %"
        data = base64.b64encode(buffer.getvalue()).decode()
        faces.append(
            f'<figure><img src="data:image/png;base64,{data}" alt="{escape(words)}, id {escape(row["id"])}">'
            f"<figcaption>{escape(words)}</figcaption></figure>"
        )
    kind = " (synthetic faces)" if dataset.name == "synthetic" else ""
    return f'<h3>Worst errors{kind}</h3><div class="faces">{"".join(faces) or "There is none."}</div>'


def _accuracies(network: Checkpoint) -> list[float | None]:
    """Validation accuracy after each epoch."""
    return [epoch.val_accuracy for epoch in network.run.metrics()]


def _facts(network: Checkpoint) -> list[tuple[str, str]]:
    card = network.card
    minutes, of = card.cost.minutes
    size = f"{card.image.height} x {card.image.width}, {'grey' if card.image.channels == 1 else 'colour'}"
    return [
        ("Network", card.network + "".join(f", {key} {value}" for key, value in card.arguments.items())),
        ("Parameters", f"{card.parameters:,}"),
        ("Input", size),
        ("Expressions", ", ".join(card.expressions)),
        ("Trained on", f"{card.data}, {card.train_images:,} pictures"),
        ("Started from", card.start.sentence if card.start else "fresh weights"),
        ("Epoch chosen on", f"{card.chosen_on}: {card.chosen_epoch}"),
        ("What was chosen there", in_words(card, _accuracies(network), shipped=network.shipped) or "nothing"),
        ("Seed", card.seeds),
        ("Test-time augmentation", card.tta),
        ("Temperature", f"{card.temperature:.3f}" if card.temperature else "not fitted"),
        ("Cost", f"{minutes:,.1f} {of} minutes on {card.cost.device}"),
        ("Made", f"{card.created[:10]} with {', '.join(f'{key} {value}' for key, value in card.versions.items())}"),
    ]


LIMITS = (
    "Expressions are what a face shows, not what a person feels.",
    "Made for teaching, research and finding errors; not for decisions about people.",
    "One split of one data set with labels that people contest; other cameras, ages and cultures may give other figures.",
    "Pictures that chose the epoch flatter a network a little.",
)


def _limits() -> str:
    return f"<section><h2>Limits</h2><ul>{''.join(f'<li>{escape(line)}</li>' for line in LIMITS)}</ul></section>"


def model_card(network: Checkpoint, key: str, report: EvaluationReport) -> str:
    """A model card in Markdown (Mitchell et al. 2019, arXiv 1810.03993), with the figures of one table."""
    card = network.card
    low, high = report.accuracy_interval
    f1_low, f1_high = report.macro_f1_interval
    lines = [
        f"# {card.title}",
        "",
        f"Reads {100 * report.accuracy:.1f} % ({100 * low:.1f} to {100 * high:.1f}) of {report.n:,} pictures of {key} as "
        f"labelled; macro-F1 {100 * report.macro_f1:.1f} % ({100 * f1_low:.1f} to {100 * f1_high:.1f}). Intervals are 95 %.",
        "",
        "## Details",
        "",
        *(f"- {name}: {value}" for name, value in _facts(network)),
        "",
        f"## Figures on {key}",
        "",
        "| expression | precision, % | recall, % | F1, % | AUROC, % | n |",
        "|---|---:|---:|---:|---:|---:|",
        *(
            f"| {row['expression']} | "
            + " | ".join(_share(row[figure]) for figure in ("precision", "recall", "f1", "auroc"))
            + f" | {row['support']:,} |"
            for row in report.per_class.to_dict("records")
        ),
        "",
        "| figure | value | 95 % interval |",
        "|---|---:|---:|",
        *(f"| {row.figure} | {row.value} | {row.interval} |" for row in figures_table(report).itertuples()),
        "",
        "## Intended use and limits",
        "",
        *(f"- {line}" for line in LIMITS),
        "",
    ]
    return "\n".join(lines)
