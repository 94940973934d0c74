"""Lab 2, “What does it look at?”: covered regions, controls of maps, and the muscles of rendered heads."""

from __future__ import annotations

import pandas as pd

from fer_core.classroom.exercises import Given, Lab, Question
from fer_core.errors import ClassError
from fer_core.explanation import region_report
from fer_core.explanation.region_report import RegionReport
from fer_core.lab import muscles, results
from fer_core.runs import store

ONE, KEY, COVER, SHOWN = "small-vgg", "fer2013-val", "blur", "happy"
YES_NO = ("yes", "no")


def _report() -> RegionReport:
    return region_report.read(region_report.find(store.find(ONE).folder)[KEY])


def _covered(region: str) -> pd.Series:
    table = _report().covering
    return table[(table["expression"] == "all") & (table["cover"] == COVER) & (table["region"] == region)].iloc[0]


def _methods() -> pd.DataFrame:
    table = _report().methods
    return table[~table["control"].astype(bool) & table["gain"].notna()]


def useless() -> Given:
    return float((_methods()["gain_low"] <= 0).sum())


def best() -> Given:
    table = _methods()
    return str(table.sort_values("gain", ascending=False)["title"].iloc[0])


def _muscles() -> pd.DataFrame:
    """
    Raises:
        ClassError: the experiment was not made in this workspace.
    """
    for found in results.kept(store.find(ONE).folder, muscles.measure):
        if found.settings.get("expression") == SHOWN:
            return found.table.sort_values("difference", ascending=False)
    raise ClassError(
        "Your workspace has no result yet. On the page Lab choose Small VGG, happy and “Muscles”, and start it."
    )


LAB = Lab(2, "What does it look at?", (
    Question(
        "mouth", "How many points of accuracy does Small VGG lose when the mouth is covered by blur, over all expressions?",
        "points", lambda: 100 * _covered("mouth")["accuracy_cost"],
        "Regions, “What happens if a region is covered?”, all expressions. It is the cost of accuracy, not that of confidence.",
    ),
    Question(
        "background", "And when the background is covered by blur?", "points",
        lambda: 100 * _covered("background")["accuracy_cost"], "The same table, the row of the background.",
    ),
    Question(
        "background_matters", "Is that loss significant after correction?", "",
        lambda: YES_NO[0] if _covered("background")["p_adjusted"] <= 0.05 else YES_NO[1],
        "Its interval goes from below zero to above zero. What does that say?", YES_NO,
    ),
    Question(
        "best", "Which attribution method has the largest advantage over another image's map?", "", best,
        "Look at the column “Advantage” of the methods on Regions. Controls are not methods.",
        ("Occlusion", "Grad-CAM", "Integrated gradients", "Saliency", "DeepLift"),
    ),
    Question(
        "useless", "How many methods (without the controls) have an advantage whose interval reaches zero or lies below it?", "",
        useless, "Count the bars in the chart of the methods that touch or cross zero, without the controls. "
        "A method that does not suit the network does not count.", within=0,
    ),
    Question(
        "unit", "Which action unit does Small VGG use most for happy rendered heads (its number)?", "",
        lambda: float(_muscles()["unit"].iloc[0]), "It is the row with the largest Shapley value.", within=0,
    ),
    Question(
        "shapley", "How large is its Shapley value?", "points", lambda: 100 * float(_muscles()["difference"].iloc[0]),
        "Take the column of Shapley values, not “alone”: alone counts what other muscles could give as well.",
    ),
))  # fmt: skip
