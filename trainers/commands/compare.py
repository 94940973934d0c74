"""`ferscope compare`."""

from __future__ import annotations

import json
from math import isnan
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from fer_core.errors import ConfigError
from fer_core.evaluation.intervals import Interval, bounded
from trainers.console import AsJson, app, figures_table, out

if TYPE_CHECKING:
    from fer_core.evaluation.predictions import Predictions


@app.command()
def compare(
    networks: Annotated[list[str], typer.Argument(help="Two networks, A and B, or more of them for a leaderboard.")],
    table: Annotated[
        str, typer.Option(help="“<data set>-<split>”. Default: the first table that all networks have.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Test whether networks differ: two networks with their difference, more of them as a leaderboard.

    Reads the predictions tables that `ferscope evaluate` writes; no network is loaded.
    """
    from fer_core.evaluation.comparison import compare as compared
    from fer_core.evaluation.comparison import p_value
    from fer_core.reports.evaluation_report import distinct_titles, shared_table
    from fer_core.runs.store import find

    found = {network.name: network for network in map(find, networks)}
    if len(found) < 2:
        raise ConfigError("A comparison needs two networks or more, as in ferscope compare A B.")
    key = table or shared_table(found.values())
    tables = {name: network.predictions(key) for name, network in found.items()}
    if len(tables) > 2:
        _leaderboard(key, tables, as_json)
        return
    (a, first), (b, second) = tables.items()
    figures = compared(first, second)
    if as_json:
        print(json.dumps({"table": key, "a": a, "b": b, **figures.to_json()}))
        return
    one, two = distinct_titles(found.values()).values()
    out.print(f"{key}: {figures.sentence(one, two)}", soft_wrap=True)
    low, high = figures.difference.macro_f1_interval
    out.print(
        f"Macro-F1 of {two} is {bounded(figures.difference.macro_f1, low, high, ' points', form='+.1f')} from "
        f"that of {one}. They agree on {figures.agreement.share:.1%} of the images; {two} corrects "
        f"{figures.test.only_b:,} errors and makes {figures.test.only_a:,} new ones. 95 % intervals: Tango's, for macro-F1 the "
        "delta method's; p of McNemar's exact test.",
        soft_wrap=True,
    )
    rows = figures_table("expression", "recall A", "recall B", "B - A", "95 % interval", "p (Holm)", "n")
    for row in figures.difference.recall.to_dict("records"):
        rows.add_row(
            row["expression"], *(f"{100 * row[name]:.1f}" for name in ("a", "b")), f"{100 * row['difference']:+.1f}",
            "–" if isnan(row["low"]) else Interval(row["low"], row["high"]).text(),
            p_value(row["p_adjusted"]), f"{row['support']:,}",
        )  # fmt: skip
    out.print(rows)


def _leaderboard(key: str, tables: dict[str, Predictions], as_json: bool) -> None:
    from fer_core.evaluation.comparison import ALPHA, all_pairs, leaderboard, p_value

    board, pairs = leaderboard(tables), all_pairs(tables)
    if as_json:
        rows = {"leaderboard": board.to_dict("records"), "pairs": pairs.to_dict("records")}
        print(json.dumps({"table": key} | rows))
        return
    differ = int((pairs["p_adjusted"] <= ALPHA).sum())
    out.print(
        f"{key}: {differ} of the {len(pairs)} pairs of networks differ significantly on the {board['n'].iloc[0]:,} images "
        f"that all predicted. Two networks that share a letter do not differ significantly (McNemar's exact test, Holm over "
        "all pairs; 95 % intervals).",
        soft_wrap=True,
    )
    shown = Table("letters", "network", "accuracy, %", "macro-F1, %", "p, the best", "p, the one above")
    for column in shown.columns[2:]:
        column.justify = "right"
    for place, row in enumerate(board.to_dict("records")):
        shown.add_row(
            row["letters"], row["name"],
            *(
                bounded(row[figure], row[figure + "_low"], row[figure + "_high"])
                for figure in ("accuracy", "macro_f1")
            ),
            *("–" if place == 0 else p_value(row[name]) for name in ("p_best", "p_above")),
        )  # fmt: skip
    out.print(shown)
