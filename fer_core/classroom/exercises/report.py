"""A student's work as one HTML file: name, answers, what the check said, and the figures behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from markupsafe import Markup

from fer_core.classroom.exercises import LONGEST, Given, Lab, Verdict
from fer_core.datasets.titles import table_title
from fer_core.errors import ClassError, FerError, shortened
from fer_core.evaluation.report import evaluate, headline
from fer_core.reports import charts
from fer_core.reports.html import Cell, render, share
from fer_core.runs import store
from fer_core.runs.store import Checkpoint

SAID = {True: "right", False: "off", None: "open"}
TABLES = {1: ("fer2013-val", "heads-test"), 2: ("fer2013-val",), 3: ("heads-val",)}
NETWORKS = {1: ("small-vgg", "mini-xception"), 2: ("small-vgg",), 3: ("first", "overfit", "repaired")}


def report(lab: Lab, name: str, verdicts: Sequence[Verdict], thoughts: Mapping[str, str] | None = None) -> str:
    """The HTML of a lab's report.

    Args:
        name: the student's.
        verdicts: as `check` gives them.
        thoughts: heading to what the student wrote of it.

    Raises:
        ClassError: no name.
    """
    if not name.strip():
        raise ClassError("Give your name first; the report begins with it.")
    found = list(_networks(lab))
    return render(
        "exercise.html",
        title=f"Lab {lab.number}: {lab.title}",
        name=shortened(name.strip(), LONGEST),
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        right=sum(one.right is True for one in verdicts),
        answers=[
            (one.question.text, _with_unit(one.given, one.question.unit), SAID[one.right], one.said) for one in verdicts
        ],
        thoughts=thoughts or {},
        figures=[_figures(network, key) for network, key in found],
        matrices=[_matrix(network, key) for network, key in found],
    )


def _networks(lab: Lab) -> list[tuple[Checkpoint, str]]:
    """The networks of a lab that this workspace has, with the tables that they have."""
    found = []
    for name in NETWORKS[lab.number]:
        try:
            network = store.find(name)
        except FerError:  # not trained yet
            continue
        found += [(network, key) for key in TABLES[lab.number] if key in network.tables]
    return found


def _figures(network: Checkpoint, key: str) -> Sequence[Cell]:
    known = headline(network.predictions(key))
    accuracy, f1 = share(known.accuracy, known.accuracy_interval), share(known.macro_f1, known.macro_f1_interval)
    return network.card.title, table_title(key), f"{known.n:,}", accuracy, f1


def _matrix(network: Checkpoint, key: str) -> tuple[Markup, str]:
    """The confusion matrix as SVG, and what it shows."""
    known = evaluate(network.predictions(key))
    title = "Confusion matrix: rows are labels, columns predictions"
    drawing = charts.svg(charts.confusion(known.confusion, known.expressions), title, 68 * len(known.expressions))
    return drawing, f"{network.card.title}, {table_title(key)}. {title}."


def _with_unit(given: Given | None, unit: str) -> str:
    return "" if given is None else f"{given:g} {unit}".strip() if isinstance(given, float) else given
