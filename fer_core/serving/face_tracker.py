"""Face tracking: match the faces of successive frames, and smooth their predictions over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fer_core.faces import Face
from fer_core.serving.predictor import Prediction

OVERLAP = 0.3  # least intersection over union of a face's boxes in neighbouring frames, as in SORT (arXiv 1602.00763)
FORGET = 1.0  # seconds after which a face that is not seen is another face when it comes back
SMOOTH = 0.4  # seconds in which the weight of what was seen falls to 1/e; an expression lasts 0.5 to 4 seconds


@dataclass(eq=False)
class Track:
    """A face followed from frame to frame: its number, from 1, and its last smoothed prediction."""

    number: int
    prediction: Prediction
    seen: float


class Tracker:
    """Follows the faces of one stream or video, and smooths their probabilities.

    Faces are paired with the last boxes greedily, largest overlap first. The probabilities are an exponential moving
    average in time, so that a slow stream is smoothed over the same seconds as a fast one.
    """

    def __init__(self, smooth: float = SMOOTH) -> None:
        """
        Args:
            smooth: time constant in seconds; 0 leaves every frame as it is.
        """
        self.smooth = smooth
        self.tracks: list[Track] = []
        self._count = 0

    def update(self, predictions: Sequence[Prediction], at: float) -> list[Track]:
        """The tracks of one frame's predictions, in their order.

        Args:
            at: time of the frame in seconds, not before the last one.
        """
        known = [track for track in self.tracks if at - track.seen <= FORGET]
        overlaps = sorted(
            (
                (overlap(track.prediction.face, prediction.face), i, j)
                for i, track in enumerate(known)
                for j, prediction in enumerate(predictions)
            ),
            reverse=True,
        )
        paired: dict[int, Track] = {}  # by the prediction's position
        for share, i, j in overlaps:
            if share >= OVERLAP and j not in paired and known[i] not in paired.values():
                paired[j] = known[i]
        found = []
        for j, prediction in enumerate(predictions):
            track = paired.get(j)
            if track is None:
                self._count += 1
                track = Track(self._count, prediction, at)
                known.append(track)
            track.prediction, track.seen = self._smoothed(track, prediction, at), at
            found.append(track)
        self.tracks = known
        return found

    def _smoothed(self, track: Track, prediction: Prediction, at: float) -> Prediction:
        before = track.prediction.probs
        if not self.smooth or before.keys() != prediction.probs.keys():  # another network was chosen meanwhile
            return prediction
        keep = math.exp(-(at - track.seen) / self.smooth)
        probs = {name: keep * before[name] + (1 - keep) * share for name, share in prediction.probs.items()}
        return replace(prediction, probs=probs)


def overlap(one: Face, other: Face) -> float:
    """Intersection over union of two faces' boxes, 0..1."""
    a, b = np.array(one.box), np.array(other.box)
    corner = np.maximum(a[:2], b[:2])
    shared = np.clip(np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - corner, 0, None).prod()
    union = a[2:].prod() + b[2:].prod() - shared
    return float(shared / union) if union > 0 else 0.0
