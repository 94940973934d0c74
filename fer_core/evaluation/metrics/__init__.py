"""Metrics: figures for a whole predictions table. One file of this package adds one or more, by the decorator `metric`.

A metric is computed from the table's (..., k, k) confusion matrices or, with `of_matrix=False`, from the table itself.
Means over expressions leave out those that neither occur nor are predicted (as scikit-learn does), `balanced_accuracy`
those that do not occur; a perfect network has the best value also when an expression is missing from the split.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from fer_core.evaluation.confusion import Counts, Figures, confusion_matrix, hits, predicted_count, support
from fer_core.evaluation.intervals import Interval, interval_of
from fer_core.evaluation.predictions import Predictions
from fer_core.registry import Registry

Of = TypeVar("Of", bound=Callable[..., Any])


def class_prior(matrix: Counts, *, labelled_only: bool = False) -> Figures:
    """(k, k) what `interval_of` adds for a mean over expressions: as good as the whole table, to each alike.

    An expression that occurs or is predicted gets one image, a share of which is right as of the whole table; three
    quarters of the rest are labelled so and predicted as others, three quarters the other way round, spread as the
    predictions and the labels are.

    Args:
        labelled_only: leave out expressions without a label, as `balanced_accuracy` does.
    """
    given, predicted = support(matrix), predicted_count(matrix)
    right = (hits(matrix).sum() + 0.5) / (matrix.sum() + 1)
    others = 1 - np.eye(len(matrix))
    to, come = others * (predicted + 1), (others * (given + 1)).T
    prior = 0.75 * (1 - right) * (to / to.sum(axis=1, keepdims=True) + come / come.sum(axis=0, keepdims=True))
    prior = prior + right * np.eye(len(matrix))
    seen = given + predicted > 0
    prior[~(given > 0 if labelled_only else seen)] = 0
    prior[:, ~seen] = 0
    return np.asarray(prior)


def image_prior(matrix: Counts) -> Figures:
    """(k, k) what `interval_of` adds for a figure over all images: one image, spread over the expressions that occur."""
    seen = support(matrix) + predicted_count(matrix) > 0
    return np.asarray(np.outer(seen, seen) / seen.sum() ** 2)


@dataclass(frozen=True)
class Metric:
    """A registered metric.

    Attributes:
        title: its name in texts.
        of: takes (..., k, k) confusion matrices and gives (...) values or, unless `of_matrix`, takes the table and gives
            a number. NaN: the table cannot tell, such as an AUROC where all images have one label.
        higher_is_better: which end of `low` to `high` is the better one.
        bounds: gives its 95 % interval, from the same argument as `of`. None: a metric of a matrix has the interval of
            `interval_of` with `prior`, any other has none.
        prior: (k, k) -> what `interval_of` adds to the counts.
    """

    title: str
    of: Callable[..., Any]
    of_matrix: bool = True
    higher_is_better: bool = True
    low: float = 0.0
    high: float = 1.0
    bounds: Callable[[Any], Interval] | None = None
    prior: Callable[[Counts], Figures] = image_prior

    def __call__(self, predictions: Predictions) -> float:
        return float(self.of(confusion_matrix(predictions) if self.of_matrix else predictions))

    def interval(self, data: Any) -> Interval | None:
        """The 95 % interval for a (k, k) matrix or, unless `of_matrix`, for a table; None where there is none."""
        if self.bounds is not None:
            return self.bounds(data)
        if self.of_matrix:
            return interval_of(self.of, data, self.prior(data), ends=(self.low, self.high))
        return None


METRICS: Registry[Metric] = Registry("metric", __name__, ordered=True)


def metric(name: str, title: str, **about: Any) -> Callable[[Of], Of]:
    """Decorator that registers a function as a metric; see `Metric` for the arguments."""

    def add(function: Of) -> Of:
        METRICS.register(name)(Metric(title, function, **about))
        return function

    return add
