"""How faithful a map is, in a sentence made from a row of the leaderboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from fer_core.evaluation.intervals import bounded

LEAST = 0.02  # gain over another image's map, in probability, below which a method is not called supported
ENOUGH = 30  # fewer images say nothing of a method
HEAD, HALF = 0.9, 0.6  # a map that keeps more when the head, or half of the layers, is new does not come from them
CLASS = 0.9  # a map that is so much like another expression's does not show what speaks for this one


@dataclass(frozen=True)
class Badge:
    """How faithful a map is, in a few sentences."""

    level: Literal["supported", "partly supported", "not supported", "not measured"]
    sentence: str


def badge(row: pd.Series | None) -> Badge:
    """The badge of a method from its row of the leaderboard; None if it was not measured for this network."""
    if row is not None and not int(row["n"]) and row["suits"]:
        return Badge("not measured", f"Not measured on this network: {row['suits']}.")
    if row is None or not int(row["n"]):
        return Badge(
            "not measured",
            "How faithful this method is to this network was not measured; the command “ferscope explain-report” does it.",
        )
    if "gain" not in row.index:
        return Badge(
            "not measured",
            "How faithful this method is was measured against random pixels by an earlier version, and almost any map "
            "beats those; make the report again with “ferscope explain-report”.",
        )
    if int(row["n"]) < ENOUGH:
        return Badge(
            "not measured",
            f"Too few images: {int(row['n'])} were measured, and at least {ENOUGH} are needed to judge a method; make the "
            "report again with a larger “--methods-on”.",
        )
    measured = (
        f"on {int(row['n']):,} images, an image's own map orders its pixels better than the map of another image of the "
        f"same predicted expression by {_points(row, 'gain')} of probability"
    )
    network = "This is about the network, right or wrong, and not about the label."
    if kept := _keeps(row):
        return Badge("not supported", f"Not supported: {kept}. Besides, {measured}. {network}")
    if not row["gain_low"] > 0 or row["gain"] < LEAST:
        why = (
            "which chance explains"
            if not row["gain_low"] > 0
            else f"less than the {100 * LEAST:.0f} points that are asked for"
        )
        return Badge("not supported", f"Not supported: {measured}, {why}. {network}")
    changes = (
        f"It depends on the trained weights (rank correlation {row['half_new']:.2f} with half of the layers new) and on the "
        f"expression asked for ({row['other_class']:.2f} with the second most likely)."
    )
    beaten = {
        "over_face": "one fixed map of eyes, nose and mouth",
        "over_noise": "noise that is as smooth as the map",
    }
    if missed := [words for figure, words in beaten.items() if not row[f"{figure}_low"] > 0]:
        return Badge(
            "partly supported",
            f"Partly supported: {measured}, but it is not shown to be better than {' or '.join(missed)}. {changes} {network}",
        )
    return Badge("supported", f"Supported: {measured}. {changes} {network}")


def _keeps(row: pd.Series) -> str:
    """Which checks of dependence on the network the map fails; empty if it passes all."""
    if row["new_head_high"] >= HEAD:
        return f"the map hardly changes when the last layer is new (rank correlation {row['new_head']:.2f})"
    if row["half_new_high"] >= HALF:
        return f"much of the map stays when half of the layers are new (rank correlation {row['half_new']:.2f})"
    if row["randomisation_high"] >= HALF:
        return f"much of the map stays when all weights are new (rank correlation {row['randomisation']:.2f})"
    if row["other_class_high"] >= CLASS:
        return (
            f"the map is nearly that of the second most likely expression (rank correlation {row['other_class']:.2f})"
        )
    return ""


def _points(row: pd.Series, figure: str) -> str:
    return bounded(row[figure], row[f"{figure}_low"], row[f"{figure}_high"], " points")
