"""A classifier of one's own: a logistic regression on a network that learns a person's expressions from a few images of each.

It works on the penultimate features of a trained network, which stays as it is, so a minute of recording is enough. What it
does to the accuracy is measured by cross-validation on the same images.

A recording holds many images that resemble their neighbours. The folds are therefore stretches of the recording: an image is
never predicted from those taken just before and after it, except where two stretches meet. Another day, light or person is
not measured by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fer_core.errors import DataError
from fer_core.evaluation.intervals import Interval, wilson
from fer_core.models.logits import penultimate
from fer_core.serving.predictor import LoadedNetwork, Prediction

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

FOLDS = 5
LEAST = FOLDS  # images of an expression: one in each fold
ITERATIONS = 1000  # at most; some twenty are enough for standardised features


@dataclass(frozen=True, eq=False)
class OwnHead:
    """The head, and what cross-validation says about it.

    Attributes:
        network: whose features it uses.
        counts: number of images by expression, in the order in which it gives its probabilities.
        correct: images that it predicted correctly when it had not been trained on them.
        network_correct: of the same images, those that the network itself predicted correctly, out of all expressions that
            it knows.
    """

    network: LoadedNetwork
    counts: dict[str, int]
    correct: int
    network_correct: int
    _classifier: Pipeline

    @property
    def n(self) -> int:
        """Number of images."""
        return sum(self.counts.values())

    @property
    def interval(self) -> Interval:
        """Of the accuracy in cross-validation: Wilson's, 95 %. The images of a recording resemble each other, so the true
        uncertainty is larger."""
        return wilson(self.correct, self.n)

    @property
    def network_interval(self) -> Interval:
        """Of the network's own accuracy on the same images."""
        return wilson(self.network_correct, self.n)

    @property
    def chance(self) -> float:
        """The accuracy of always predicting the most frequent expression, 0..1."""
        return max(self.counts.values()) / self.n

    def probs(self, prediction: Prediction) -> dict[str, float]:
        """The probability of each learned expression for a face; they add up to 1.

        Args:
            prediction: by `network`, alone or as the first of several.
        """
        features = penultimate(self.network.model, prediction.picture[None], self.network.card.image)
        return dict(zip(self.counts, self._classifier.predict_proba(features)[0].tolist(), strict=True))


def teach(network: LoadedNetwork, shown: Mapping[str, Sequence[Prediction]]) -> OwnHead:
    """Learn a person's expressions.

    Args:
        network: whose features are used.
        shown: its predictions of the images of each expression, in the order in which they were taken.

    Raises:
        DataError: fewer than two expressions, or fewer than `LEAST` images of one.
    """
    shown = {name: faces for name, faces in shown.items() if faces}
    if len(shown) < 2:
        found = f"of {next(iter(shown))} alone" if shown else "of none"
        raise DataError(
            f"A classifier learns to tell expressions apart. There are images {found} so far; record a second expression."
        )
    if few := [f"{name} ({len(faces)})" for name, faces in shown.items() if len(faces) < LEAST]:
        raise DataError(
            f"Each expression needs {LEAST} images or more, one for each fold. Too few: {', '.join(few)}. Record more of them."
        )
    faces = [face for given in shown.values() for face in given]
    labels = np.repeat(np.arange(len(shown)), [len(given) for given in shown.values()])
    names = np.repeat(list(shown), [len(given) for given in shown.values()])
    features = penultimate(network.model, np.stack([face.picture for face in faces]), network.card.image)
    folds = np.concatenate([stretches(len(given)) for given in shown.values()])
    predicted = np.empty_like(labels)
    for fold in range(FOLDS):
        held_out = folds == fold
        predicted[held_out] = _fitted(features[~held_out], labels[~held_out]).predict(features[held_out])
    return OwnHead(
        network,
        {name: len(given) for name, given in shown.items()},
        int((predicted == labels).sum()),
        sum(face.predicted == name for face, name in zip(faces, names, strict=True)),
        _fitted(features, labels),
    )


def stretches(n: int) -> NDArray[np.int64]:
    """The fold, 0 to `FOLDS` - 1, of each of n images in the order in which they were taken: neighbours share one."""
    return np.arange(n) * FOLDS // n


def _fitted(features: NDArray[np.float32], labels: NDArray[np.int64]) -> Any:
    """Standardised features and scikit-learn's own regularisation: nothing is chosen, so nothing needs images for choosing."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS)).fit(features, labels)
