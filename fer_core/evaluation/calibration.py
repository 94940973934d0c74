"""What a network's confidence is worth: reliability, temperature scaling, and answering only when sure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from fer_core.checkpoint import Card, keep_temperature, read_card
from fer_core.errors import DataError
from fer_core.evaluation.intervals import Interval, wilson, wilson_bounds
from fer_core.evaluation.predictions import Predictions

Bins = Literal["width", "mass"]
BOUNDS = (0.05, 20.0)  # of a temperature; a fit that ends there found none


def reliability(predictions: Predictions, bins: int = 15, equal: Bins = "width") -> pd.DataFrame:
    """Confidence beside accuracy, bin by bin (Guo et al. 2017, arXiv 1706.04599, section 2).

    Args:
        predictions: one row or more.
        bins: how many, 1 or more.
        equal: “width” divides 0..1 evenly; “mass” gives each bin about as many images, fewer bins where confidences
            are equal.

    Returns:
        One row a bin with an image in it, from low to high: `low`, `high` (low < confidence <= high; the first bin
        holds its low end too, so that a confidence of exactly 1 is in the last and nothing is lost), `n`,
        `confidence` and `accuracy` (means), `accuracy_low`, `accuracy_high` (Wilson 95 %).
    """
    values = predictions.confidence
    if not len(values):
        raise DataError("There is no image to measure reliability on; choose a split or filter that holds some.")
    ends = np.linspace(0, 1, bins + 1)
    edges = ends if equal == "width" else np.unique(np.quantile(values, ends))
    if len(edges) == 1:  # all confidences are equal: one bin without width
        edges = np.repeat(edges, 2)
    number = np.searchsorted(edges[1:-1], values, side="left")
    counts = np.bincount(number)
    filled = np.flatnonzero(counts)
    n = counts[filled]
    hits = np.bincount(number, weights=predictions.correct)[filled]
    low, high = wilson_bounds(hits, n)
    return pd.DataFrame(
        {
            "low": edges[filled],
            "high": edges[filled + 1],
            "n": n,
            "confidence": np.bincount(number, weights=values)[filled] / n,
            "accuracy": hits / n,
            "accuracy_low": low,
            "accuracy_high": high,
        }
    )


def overconfidence(predictions: Predictions) -> float:
    """Mean confidence minus accuracy, in -1..1: above 0 the network is surer than it is right.

    Raises:
        DataError: the table has no row.
    """
    if not len(predictions):
        raise DataError("There is no image to measure confidence on; choose a split or filter that holds some.")
    return float(predictions.confidence.mean() - predictions.correct.mean())


def temperature(predictions: Predictions) -> float:
    """The temperature T for which softmax(logits / T) has the smallest mean loss (Guo et al. 2017, equation 9).

    Fit it on the validation part, never on the split that is reported; `calibrate` sees to that. Above 1 the network
    was too sure. The result lies in `BOUNDS`: a network without an error would want 0.

    Raises:
        DataError: the table has no row.
    """
    from scipy.optimize import minimize_scalar  # 0.3 s to import

    if not len(predictions):
        raise DataError("There is no image to fit a temperature on; choose a split that holds some.")
    rows = np.arange(len(predictions))
    shifted = predictions.logits - predictions.logits[rows, predictions.label_index][:, None]

    def loss(log_temperature: float) -> float:
        scaled = shifted * np.exp(-log_temperature)
        top = scaled.max(axis=1)
        return float(np.mean(top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))))

    # The loss is convex in 1/T, so it has one valley in log T too and the bounded search finds it.
    return float(np.exp(minimize_scalar(loss, bounds=(np.log(BOUNDS[0]), np.log(BOUNDS[1])), method="bounded").x))


def with_temperature(predictions: Predictions, temperature: float) -> Predictions:
    """The same predictions with logits / temperature: other probabilities, the same predicted expressions.

    Raises:
        DataError: the temperature is not a positive number.
    """
    if not (np.isfinite(temperature) and temperature > 0):
        raise DataError(f"A temperature must be a positive number, found {temperature}.")
    logits = predictions.table.filter(like="logit_") / temperature
    return Predictions(predictions.table.assign(**{str(name): logits[name] for name in logits}))


def validation_split(card: Card) -> str:
    """The split that chose a network's epoch, which is the one to fit its temperature on; empty where none did, or where
    the members of an ensemble had different ones, so that one has learned what another was chosen on."""
    first, *others = {str(recipe.get("val_split", "val")) for recipe in card.recipes}
    return "" if others else first


def calibrate(folder: Path, predictions: Predictions) -> float:
    """Fit a network's temperature on its validation part and store it in its card, where the live tab reads it.

    Args:
        folder: of the checkpoint.
        predictions: its answers on the validation part, without a temperature (as all tables are).

    Returns:
        the temperature.

    Raises:
        DataError: the table is of another split, of another network's expressions, or has too few errors to fit on.
    """
    card = read_card(folder)
    wanted, splits = validation_split(card), sorted(set(predictions.table["split"]))
    if splits != [wanted]:
        raise DataError(
            f"A temperature is fitted on the validation part (“{wanted}”) alone, found {', '.join(splits) or 'no image'}; "
            "fitted on what is reported, the confidence would look better than it is."
        )
    if predictions.expressions.names != card.expressions:
        raise DataError(
            f"The table has the expressions {', '.join(predictions.expressions.names)}, the card of {card.name} "
            f"{', '.join(card.expressions)}; evaluate this network again."
        )
    found = temperature(predictions)
    if predictions.correct.all() or not BOUNDS[0] * 1.01 < found < BOUNDS[1] / 1.01:
        raise DataError(
            f"No temperature fits these {len(predictions):,} images ({int((~predictions.correct).sum()):,} errors); "
            "take more of them, with right and wrong answers."
        )
    keep_temperature(folder, round(found, 4))
    return round(found, 4)


def risk_coverage(predictions: Predictions, points: int = 200) -> pd.DataFrame:
    """Accuracy when only the surest images are answered (Geifman and El-Yaniv 2017, arXiv 1705.08500).

    Args:
        predictions: one row or more.
        points: at most this many rows, evenly spread over the coverages; images of equal confidence stay together.

    Returns:
        From the surest image to all of them: `threshold` (images with at least this confidence are answered),
        `coverage` (share answered), `n` (answered), `accuracy`, `risk` (1 - accuracy), `accuracy_low`,
        `accuracy_high` (Wilson 95 %).
    """
    if not len(predictions):
        raise DataError("There is no image to draw a risk-coverage curve from; choose a split that holds some.")
    order = np.argsort(-predictions.confidence, kind="stable")
    confidence = predictions.confidence[order]
    hits = predictions.correct[order].cumsum()
    last = np.flatnonzero(np.append(confidence[1:] < confidence[:-1], True))  # the last image of each confidence
    kept = last[np.unique(np.linspace(0, len(last) - 1, min(points, len(last))).round().astype(int))]
    n = kept + 1
    low, high = wilson_bounds(hits[kept], n)
    return pd.DataFrame(
        {
            "threshold": confidence[kept],
            "coverage": n / len(predictions),
            "n": n,
            "accuracy": hits[kept] / n,
            "risk": 1 - hits[kept] / n,
            "accuracy_low": low,
            "accuracy_high": high,
        }
    )


@dataclass(frozen=True)
class ThresholdSummary:
    """What happens when images below a confidence are not answered. Shares and accuracies are in 0..1."""

    threshold: float
    n: int
    answered: int
    coverage: float
    accuracy: float | None  # of those answered; None where none is
    accuracy_interval: Interval
    abstained: int
    abstained_errors: int  # how many of those not answered would have been wrong


def at_threshold(predictions: Predictions, threshold: float) -> ThresholdSummary:
    """Answer the images whose confidence is `threshold` or more, abstain from the others.

    Raises:
        DataError: the table has no row.
    """
    n = len(predictions)
    if not n:
        raise DataError("There is no image to set a threshold on; choose a split that holds some.")
    sure = predictions.confidence >= threshold
    answered, hits = int(sure.sum()), int(predictions.correct[sure].sum())
    return ThresholdSummary(
        threshold=threshold,
        n=n,
        answered=answered,
        coverage=answered / n,
        accuracy=hits / answered if answered else None,
        accuracy_interval=wilson(hits, answered),
        abstained=n - answered,
        abstained_errors=int((~predictions.correct[~sure]).sum()),
    )


def by_expression(predictions: Predictions, threshold: float) -> pd.DataFrame:
    """Whom a threshold leaves without an answer.

    Returns:
        One row an expression that occurs: `expression`, `n`, `answered`, `coverage` (share answered), `coverage_low`,
        `coverage_high`, `accuracy` (of those answered, NaN where none is), `accuracy_low`, `accuracy_high`.
    """
    k = len(predictions.expressions)
    sure = predictions.confidence >= threshold
    n = np.bincount(predictions.label_index, minlength=k)
    answered = np.bincount(predictions.label_index[sure], minlength=k)
    hits = np.bincount(predictions.label_index[sure & predictions.correct], minlength=k)
    table = pd.DataFrame({"expression": predictions.expressions.names, "n": n, "answered": answered})
    table["coverage"] = answered / np.maximum(n, 1)
    table["coverage_low"], table["coverage_high"] = wilson_bounds(answered, n)
    table["accuracy"] = np.where(answered, hits / np.maximum(answered, 1), np.nan)
    table["accuracy_low"], table["accuracy_high"] = wilson_bounds(hits, answered)
    return table[table["n"] > 0].reset_index(drop=True)
