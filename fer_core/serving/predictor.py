"""Prediction for training, evaluation, pages and the live app.

`predict_logits` takes images that are at the network's size already; `Predictor` takes a photo or camera frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fer_core.checkpoint import Card, load_network
from fer_core.errors import CheckpointError, ConfigError, ImageError
from fer_core.explanation.overlay import common_limit, overlay
from fer_core.explanation.served import explain_as_served
from fer_core.faces import MIN_SIZE, Face, FaceCrop, find_faces
from fer_core.images import fit, quality

if TYPE_CHECKING:
    from torch import nn

    from fer_core.datasets import Dataset
from fer_core.faces import framed_for
from fer_core.models.logits import predict_logits
from fer_core.serving.shared_pass import SharedPasses

NOT_SURE = "not sure"


@dataclass(frozen=True, eq=False)
class Prediction:
    """A network's prediction for one face of an image.

    Attributes:
        face: where it is, in pixels of the image.
        framing: how it was cut out.
        probs: probability by expression, in the order of the network's card; they add up to 1.
        picture: (height, width) or (height, width, 3) uint8, exactly what the (first) network was given.
        warnings: why the prediction may be unreliable, see `fer_core.images.quality`; empty for a good image.
    """

    face: Face
    framing: FaceCrop
    probs: dict[str, float]
    picture: NDArray[np.uint8]
    warnings: tuple[str, ...] = ()

    @property
    def predicted(self) -> str:
        """The most probable expression."""
        return max(self.probs, key=self.probs.__getitem__)

    @property
    def confidence(self) -> float:
        """The probability of `predicted`, 0..1."""
        return self.probs[self.predicted]

    def verdict(self, threshold: float) -> str:
        """`predicted`, or “not sure” where the confidence is below `threshold` (0..1)."""
        return self.predicted if self.confidence >= threshold else NOT_SURE

    def scaled(self, factor: float) -> Prediction:
        """The same for the image enlarged `factor` times."""
        left, top, width, height = (factor * value for value in self.face.box)
        points = None if self.face.points is None else (factor * self.face.points).astype(np.float32)
        return replace(self, face=replace(self.face, box=(left, top, width, height), points=points))


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """One network of a predictor. Simultaneous requests of several threads share one pass."""

    model: nn.Module
    card: Card

    @classmethod
    def of(cls, folder: Path, device: str = "cpu") -> LoadedNetwork:
        """A checkpoint's network, loaded.

        Raises:
            CheckpointError: as `load_network`.
        """
        return cls(*load_network(folder, device))

    @cached_property
    def _passes(self) -> SharedPasses:
        return SharedPasses(lambda pictures, tta: predict_logits(self.model, pictures, self.card.image, tta=tta))

    def probs(self, pictures: NDArray[np.uint8], tta: str | None = None) -> NDArray[np.float64]:
        """Probabilities (N, K) in the card's order, its temperature applied, of images (N, H, W[, 3]) at its size.

        Args:
            tta: test-time augmentation as `predict_logits` takes it; None: the card's.

        Raises:
            CheckpointError: the network's output is not finite.
        """
        logits = self._passes(pictures, self.card.tta if tta is None else tta)
        if not np.isfinite(logits).all():
            raise CheckpointError(
                f"The output of {self.card.name} is not finite, so its training failed; choose another."
            )
        scaled = logits.astype(np.float64) / (self.card.temperature or 1.0)
        odds = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))


class Predictor:
    """Checkpoints, loaded once, that predict on whole images. Several threads may use one at once.

    Several networks predict together: their probabilities are averaged, matched by the expression's name. If their
    vocabularies differ, only the shared expressions are used, and each network's probabilities are scaled to sum to 1
    over them.

    Attributes:
        members: the networks, in the order given.
        expressions: the expressions that can be predicted, in the order of the first network's card.
    """

    def __init__(self, *folders: str | Path, device: str = "cpu") -> None:
        """
        Raises:
            CheckpointError: as `load_network`.
            ConfigError: no folder, or networks that share fewer than two expressions.
        """
        if not folders:
            raise ConfigError("A predictor needs one network or more; choose one.")
        self._take(tuple(LoadedNetwork.of(Path(folder), device) for folder in folders))

    @classmethod
    def of(cls, *members: LoadedNetwork) -> Predictor:
        """A predictor of loaded networks, which several predictors may share.

        Raises:
            ConfigError: they share fewer than two expressions.
        """
        predictor = cls.__new__(cls)
        predictor._take(members)
        return predictor

    def _take(self, members: tuple[LoadedNetwork, ...]) -> None:
        self.members = members
        known = reduce(lambda left, right: left & right, (set(member.card.expressions) for member in self.members))
        self.expressions = tuple(name for name in self.card.expressions if name in known)
        if len(self.expressions) < 2:
            sets = "; ".join(f"{member.card.name}: {', '.join(member.card.expressions)}" for member in self.members)
            raise ConfigError(f"These networks share fewer than two expressions ({sets}); choose others to combine.")

    @property
    def model(self) -> nn.Module:
        """The first network."""
        return self.members[0].model

    @property
    def card(self) -> Card:
        """The first network's card."""
        return self.members[0].card

    def predict(
        self, image: NDArray[np.uint8], detector: str = "mtcnn", *, min_size: float = MIN_SIZE, tta: str | None = None
    ) -> list[Prediction]:
        """The expression of every face of an image, the largest face first; an empty list if there is none.

        The faces are found once, cut out for each network as its card says and predicted as one batch.

        Args:
            image: (H, W) or (H, W, 3) RGB.
            detector: a name in `fer_core.faces.DETECTORS`; with “none” the whole image is one face.
            min_size: smallest longer side of a face's box that is looked for, in pixels.
            tta: test-time augmentation as `predict_logits` takes it; None: each card's.

        Raises:
            UnknownName: there is no such detector.
            ImageError: no uint8 image, or one without pixels.
            CheckpointError: a network's output is not finite.
        """
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.size == 0:
            raise ImageError(f"An image has to be uint8 (H, W) or (H, W, 3), found {image.dtype} {image.shape}.")
        return self.predict_faces(image, find_faces(image, detector, min_size), detector, tta=tta)

    def predict_faces(
        self, image: NDArray[np.uint8], faces: list[Face], detector: str = "mtcnn", *, tta: str | None = None
    ) -> list[Prediction]:
        """As `predict`, of faces that the detector has found already, in their order."""
        if not faces:
            return []
        framing = framed_for(self.card.face, detector)
        cuts = [framing.cut(image, face) for face in faces]
        given = []
        for member in self.members:
            framed = framed_for(member.card.face, detector)
            own = cuts if framed == framing else [framed.cut(image, face) for face in faces]
            given.append(np.stack([fit(cut, member.card.image) for cut in own]))
        windows = [framing.window(image, face) for face in faces]
        return self._answers(faces, framing, windows, given, tta)

    def predict_row(self, dataset: Dataset, row: int, *, tta: str | None = None) -> Prediction:
        """The expression of one image of a data set, as in an evaluation of the set.

        Raises:
            DataError: the set was prepared otherwise than a network's own.
            CheckpointError: a network's output is not finite.
        """
        picture = dataset.picture(row)
        given = [dataset.as_given(picture, member.card.image)[None] for member in self.members]
        return self._answers(find_faces(picture, "none"), FaceCrop(detector="none"), [picture], given, tta)[0]

    def _answers(
        self,
        faces: list[Face],
        framing: FaceCrop,
        windows: list[NDArray[np.uint8]],
        given: list[NDArray[np.uint8]],
        tta: str | None,
    ) -> list[Prediction]:
        """The mean prediction of the networks for each face; its warnings come from its window, before it is softened."""
        probs = sum(
            (self._shared(member, pictures, tta) for member, pictures in zip(self.members, given, strict=True)),
            start=np.zeros((len(faces), len(self.expressions))),
        )
        return [
            Prediction(
                face,
                framing,
                dict(zip(self.expressions, row.tolist(), strict=True)),
                picture,
                quality.warnings(face, window, self.card.image),
            )
            for face, row, picture, window in zip(faces, probs / len(self.members), given[0], windows, strict=True)
        ]

    def _shared(self, member: LoadedNetwork, pictures: NDArray[np.uint8], tta: str | None) -> NDArray[np.float64]:
        """A network's probabilities (N, K) of the shared expressions, in their order."""
        probs = member.probs(pictures, tta)[:, [member.card.expressions.index(name) for name in self.expressions]]
        return np.asarray(probs / probs.sum(axis=1, keepdims=True))

    def explain(
        self,
        image: NDArray[np.uint8],
        predictions: Sequence[Prediction],
        method: str = "grad-cam",
        *,
        limit: float = 0.0,
        tta: str | None = None,
    ) -> tuple[NDArray[np.uint8], float]:
        """The image, with a Grad-CAM map of each face's predicted expression drawn over the face.

        Of several networks the first one is explained: maps of different networks have no common scale. An ensemble is one
        network; its map holds all members.

        Args:
            image: (H, W) or (H, W, 3) RGB, the image of the predictions; both may be scaled together.
            tta: the test-time augmentation of the predictions; None: the card's.
            method: a name in `fer_core.explanation.METHODS`.
            limit: lower bound of the scale that all faces share: a stream gives the one of the frame before, somewhat
                reduced, so that a weak map does not look strong.

        Returns:
            (H, W, 3) uint8, and the scale's limit (logits a unit of the feature maps, for Grad-CAM).

        Raises:
            UnknownName, ConfigError: no such method, or one that does not suit the network.
        """
        shown = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
        if not predictions:
            return shown, limit
        targets = [prediction.predicted for prediction in predictions]
        faces = np.stack([prediction.picture for prediction in predictions])
        found = explain_as_served(self.model, self.card, faces, targets, method, tta=tta)
        limit = max(limit, common_limit(found.map))
        for prediction, one in zip(predictions, found.map, strict=True):
            shown = overlay(shown, _on_photo(one, prediction, shown.shape[:2]), signed=found.signed, limit=limit)
        return shown, limit


def _on_photo(one: NDArray[np.float32], prediction: Prediction, size: tuple[int, ...]) -> NDArray[np.float32]:
    """A face's map (h, w) at its place in a photo of `size` (H, W); zero elsewhere."""
    import cv2

    left, top, width, height = prediction.face.box
    turned = np.array([[1, 0, left], [0, 1, top]])
    if prediction.framing.detector != "none":
        side, turned = prediction.framing.placement(prediction.face)
        width = height = side
    # The middle of pixel i of n lies at (i + 0.5) / n, in the map as in the crop.
    zoom = np.array([width / one.shape[1], height / one.shape[0]])
    to_photo = np.column_stack([turned[:, :2] * zoom, turned @ np.append((zoom - 1) / 2, 1)])
    return cv2.warpAffine(one, to_photo, (size[1], size[0]), flags=cv2.INTER_LINEAR).astype(np.float32, copy=False)
