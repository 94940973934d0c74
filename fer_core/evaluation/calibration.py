"""Calibration: is a network's confidence justified? Reliability, temperature scaling, and abstaining below a
threshold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.checkpoint import Card, keep_temperature, read_card
from fer_core.errors import DataError
from fer_core.evaluation.intervals import FEW, SEED, Interval, normal_quantile, wilson, wilson_bounds
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
        raise DataError("There is no image to measure reliability on; choose another split or filter.")
    edges = _edges(values, bins, equal)
    number = _bin_numbers(values, edges)
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


def _edges(values: NDArray[np.float64], bins: int, equal: Bins) -> NDArray[np.float64]:
    ends = np.linspace(0, 1, bins + 1)
    edges = ends if equal == "width" else np.unique(np.quantile(values, ends))
    return np.repeat(edges, 2) if len(edges) == 1 else edges  # all values are equal: one bin without width


def _bin_numbers(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.asarray(np.searchsorted(edges[1:-1], values, side="left"), dtype=np.int64)


def overconfidence(predictions: Predictions) -> float:
    """Mean confidence minus accuracy, in -1..1: above 0 the network is overconfident.

    Raises:
        DataError: the table has no row.
    """
    if not len(predictions):
        raise DataError("There is no image to measure confidence on; choose a split or filter that holds some.")
    return float(predictions.confidence.mean() - predictions.correct.mean())


PER_BIN = 12  # images at least, where so many bins are asked for
ENOUGH = 100  # images from which the interval of one expression's error covers
CHANCE = 200  # draws of the answers of a calibrated network


@dataclass(frozen=True)
class CalibrationError:
    """The gap between confidence and accuracy, and the gap that chance alone would produce.

    Attributes:
        n, bins: images, and bins with about as many each that `debiased` was measured on.
        debiased: root mean square over the images of confidence minus accuracy of their bin, without what chance adds,
            in 0..1 (Kumar, Liang and Ma 2019, arXiv 1909.10155, section 5); 0 where chance explains all.
        interval: of `debiased`; it begins at 0 where the network may be calibrated.
        ece: the usual expected calibration error (Guo et al. 2017), which is never 0 and falls with n.
        by_chance: what `ece` would be on average for a calibrated network with these confidences.
    """

    n: int
    bins: int
    debiased: float
    interval: Interval
    ece: float
    by_chance: float


def calibration_error(predictions: Predictions, bins: int = 15, equal: Bins = "width") -> CalibrationError:
    """How far a network's confidence is from its accuracy.

    Args:
        bins: of `ece`, and at most of the debiased error, which takes fewer where they would hold under `PER_BIN` images.
        equal: of the bins of `ece`.

    Raises:
        DataError: the table has no row.
    """
    if not len(predictions):
        raise DataError("There is no image to measure calibration on; choose a split or filter that holds some.")
    return _calibration_error(predictions.confidence, predictions.correct, bins, equal)


def calibration_by_expression(predictions: Predictions, bins: int = 15) -> pd.DataFrame:
    """Calibration of each expression's own probability, as a statement that the image is labelled so (Kull et al. 2019,
    arXiv 1910.12656, class-wise calibration).

    Returns:
        One row an expression with five images or more, and five others, of at least `ENOUGH` images: `expression`, `n`
        (labelled so), `probability` (mean) and `share` (of all images that are labelled so), `error` (debiased), `low`,
        `high`, `ece`, `by_chance`.
    """
    rows = []
    for place, name in enumerate(predictions.expressions.names):
        given, probability = predictions.label_index == place, predictions.probs[:, place]
        n = int(given.sum())
        if min(n, len(given) - n) < FEW or len(given) < ENOUGH:
            continue
        found = _calibration_error(probability, given, bins, "width")
        rows.append(
            (name, n, probability.mean(), given.mean(), found.debiased, *found.interval, found.ece, found.by_chance)
        )
    columns = ["expression", "n", "probability", "share", "error", "low", "high", "ece", "by_chance"]
    return pd.DataFrame(rows, columns=columns)


def _calibration_error(
    stated: NDArray[np.float64], happened: NDArray[np.bool_], bins: int, equal: Bins
) -> CalibrationError:
    """Of any stated probability (n,) and whether what it speaks of happened (n,)."""
    n = len(stated)
    used = max(1, min(bins, n // PER_BIN))
    debiased, interval = _debiased(stated, happened, used)
    number = _bin_numbers(stated, _edges(stated, bins, equal))
    random = np.random.default_rng(SEED)
    gaps = [np.abs(np.bincount(number, weights=happened - stated)).sum() / n]
    gaps += [np.abs(np.bincount(number, weights=(random.random(n) < stated) - stated)).sum() / n for _ in range(CHANCE)]
    return CalibrationError(n, used, debiased, interval, float(gaps[0]), float(np.mean(gaps[1:])))


def _debiased(stated: NDArray[np.float64], happened: NDArray[np.bool_], bins: int) -> tuple[float, Interval]:
    """Root mean square calibration error over equally filled bins, and its interval.

    In bin b, d is the mean of (happened - stated) and v the variance of that mean. The sum of p (d² - v) has the square
    of the error, y, as its mean (Kumar, Liang and Ma 2019), and about 2 sum p² v² + 4 y sum p² v w as its variance, where
    w is how much larger the error of this bin is than that of all. The interval holds each y within 1.96 times its own
    standard deviation, the roots of a quadratic equation; near 0 that is the chi-squared distribution's 95 %.
    """
    order = np.argsort(stated, kind="stable")
    ends = _between_ties(stated[order], np.linspace(0, len(stated), bins + 1))
    residual = happened[order] - stated[order]
    n = np.diff(ends)
    sums, squares = (np.add.reduceat(values, ends[:-1]) for values in (residual, residual**2))
    gap = sums / n
    variance = np.where(n > 1, (squares / n - gap**2) / np.maximum(n - 1, 1), 0.25)
    p = n / n.sum()
    square = float((p * (gap**2 - variance)).sum())
    weight = np.maximum(gap**2 - variance, 0) + variance
    weight = weight / (p * weight).sum() if weight.any() else np.ones(len(n))
    z2 = normal_quantile() ** 2
    alone, along = 2 * float((p**2 * variance**2).sum()), 4 * float((p**2 * variance * weight).sum())

    def end(estimate: float, sign: int) -> float:
        middle = estimate + z2 * along / 2
        return float(np.sqrt(max(0.0, middle + sign * np.sqrt(max(0.0, middle**2 - estimate**2 + z2 * alone)))))

    low = end(square, -1) if square > 0 and square**2 > z2 * alone else 0.0
    high = end(max(square, -alone / along if along > 0 else square), 1)
    return float(np.sqrt(max(0.0, square))), Interval(low, min(1.0, high))


def _between_ties(ordered: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.intp]:
    """The nearest places that divide no equal values, or the order of the table would decide which bin they are in."""
    places = np.concatenate([[0], np.flatnonzero(np.diff(ordered) > 1e-12) + 1, [len(ordered)]])
    return np.unique(places[np.abs(places[:, None] - ends.round()).argmin(0)])


def temperature(predictions: Predictions) -> float:
    """The temperature T for which softmax(logits / T) has the smallest mean loss (Guo et al. 2017, equation 9).

    Fit it on the validation set, never on the split that is reported; `calibrate` sees to that. Above 1 the network was
    overconfident. The result lies in `BOUNDS`: without any error, 0 would be best.

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


def temperature_interval(predictions: Predictions, temperature: float) -> Interval:
    """Interval of a fitted temperature, from the curvature of the loss and the spread of its slopes (Huber 1967).

    With b = 1 / T the slope of one image's loss is the mean logit less that of its label, and the curvature the variance
    of its logits, both under softmax(b logits); the error is taken on the scale of log T.

    Args:
        temperature: as `temperature` gives it for these predictions.
    """
    z = predictions.logits - predictions.logits.max(axis=1, keepdims=True)
    powers = np.exp(z / temperature)
    probs = powers / powers.sum(axis=1, keepdims=True)
    mean = (probs * z).sum(axis=1)
    slope = mean - z[np.arange(len(z)), predictions.label_index]
    curvature = float(((probs * z**2).sum(axis=1) - mean**2).sum())
    if curvature <= 0:
        return Interval(*BOUNDS)
    reach = normal_quantile() * float(np.sqrt((slope**2).sum())) / curvature * temperature
    return Interval(*(float(np.clip(temperature * np.exp(sign * reach), *BOUNDS)) for sign in (-1, 1)))


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
    """Fit a network's temperature on its validation set and store it in its card, where the live tab reads it.

    Args:
        folder: of the checkpoint.
        predictions: its answers on the validation set, without a temperature (as all tables are).

    Returns:
        the temperature.

    Raises:
        DataError: the table is of another split, of another network's expressions, or has too few errors to fit on.
    """
    card = read_card(folder)
    wanted, splits = validation_split(card), sorted(set(predictions.table["split"]))
    if splits != [wanted]:
        raise DataError(
            f"A temperature is fitted on the validation set (“{wanted}”) alone, found {', '.join(splits) or 'no image'}; "
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
            "use more images, with correct and wrong predictions."
        )
    keep_temperature(folder, round(found, 4))
    return round(found, 4)


def risk_coverage(predictions: Predictions, points: int = 200) -> pd.DataFrame:
    """Accuracy when only the most confident predictions are kept (Geifman and El-Yaniv 2017, arXiv 1705.08500).

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
    """The result of abstaining below a confidence. Shares and accuracies are in 0..1."""

    threshold: float
    n: int
    answered: int
    coverage: float
    accuracy: float | None  # of those answered; None where none is
    accuracy_interval: Interval
    abstained: int
    abstained_errors: int  # how many of those not answered would have been wrong


def at_threshold(predictions: Predictions, threshold: float) -> ThresholdSummary:
    """Keep the predictions with a confidence of `threshold` or more, and abstain on the others.

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
    """How many predictions of each expression a threshold drops.

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
