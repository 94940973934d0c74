"""The one way in which training, evaluation, pages and the live tab predict.

`predict_logits` takes pictures that are at the network's size already; `Predictor` takes a photo or camera frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fer_core.checkpoint import Card, load_network
from fer_core.errors import CheckpointError, ConfigError, ImageError
from fer_core.explanation import explain
from fer_core.explanation.overlay import common_limit, overlay
from fer_core.faces import FER2013_MARGIN, MIN_SIZE, Face, FaceCrop, find_faces, quality
from fer_core.images import ImageSpec, fit, normalise, to_tensor
from fer_core.models import attribution_layer
from fer_core.passes import at_once

if TYPE_CHECKING:
    import torch
    from torch import nn

    from fer_core.datasets import Dataset

CROP = 0.875  # share of the side that a crop of “ten-crop” shows
NOT_SURE = "not sure"


def predict_logits(
    model: nn.Module, images: NDArray[np.uint8], spec: ImageSpec, *, tta: str = "none"
) -> NDArray[np.float32]:
    """Logits (N, K) of pictures already at the network's size.

    Args:
        model: its mode is restored afterwards, also after an error.
        images: (N, H, W) or (N, H, W, 3) uint8, memory-mapped or not; only a batch at a time is taken into memory.
        tta: “flip” averages the logits of each picture and its mirror image, “ten-crop” of five crops and theirs.
    """
    parts = list(logit_batches(model, images, spec, tta=tta))
    return np.concatenate(parts)


def logit_batches(
    model: nn.Module, images: NDArray[np.uint8], spec: ImageSpec, *, tta: str
) -> Iterator[NDArray[np.float32]]:
    """The same, a batch at a time, for whoever shows progress."""
    import torch

    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    batch = at_once(spec.height, spec.width, device)
    try:
        for start in range(0, len(images), batch):
            with torch.inference_mode():
                inputs = normalise(to_tensor(images[start : start + batch], device), spec)
                logits = logits_with(model, inputs, tta)
            yield logits.float().cpu().numpy()
    finally:
        model.train(was_training)


def logits_with(model: nn.Module, inputs: torch.Tensor, tta: str) -> torch.Tensor:
    """Logits (N, K) of normalised inputs (N, C, H, W), averaged over the views that test-time augmentation takes.

    “flip” adds the mirror image; “ten-crop” takes the corners and the centre, `CROP` of the side each, enlarged to the
    network's size, and their mirror images (Krizhevsky et al. 2012, section 4.1).
    """
    logits: list[torch.Tensor] = []
    for view in _crops(inputs) if tta == "ten-crop" else [inputs]:
        logits.append(model(view))
        if tta != "none":
            logits.append(model(view.flip(3)))
    mean: torch.Tensor = sum(logits[1:], start=logits[0]) / len(logits)
    return mean


def _crops(inputs: torch.Tensor) -> Iterator[torch.Tensor]:
    import torch.nn.functional as F

    height, width = (int(side) for side in inputs.shape[2:])  # numbers also while ONNX is traced
    tall, wide = round(CROP * height), round(CROP * width)
    places = [(0, 0), (0, width - wide), (height - tall, 0), (height - tall, width - wide)]
    for top, left in [*places, ((height - tall) // 2, (width - wide) // 2)]:
        crop = inputs[:, :, top : top + tall, left : left + wide]
        yield F.interpolate(crop, size=(height, width), mode="bilinear", align_corners=False)


def penultimate(model: nn.Module, images: NDArray[np.uint8], spec: ImageSpec) -> NDArray[np.float32]:
    """What the last layer with weights is given, (N, F): the features of pictures (N, H, W[, 3]) at the network's size.

    A map is averaged over its places. The work is done on a copy, so no hook is left on a network that serves others.
    """
    import copy

    from torch import nn

    network = copy.deepcopy(model).eval()
    seen: list[torch.Tensor] = []

    def keep(_layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        seen[:] = [inputs[0].mean(dim=(2, 3)) if inputs[0].ndim == 4 else inputs[0].flatten(1)]

    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            layer.register_forward_pre_hook(keep)  # the last that runs has the last word
    parts = []
    for _ in logit_batches(network, images, spec, tta="none"):
        parts.append(seen[0].float().cpu().numpy())
    return np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says of one face of a picture.

    Attributes:
        face: where it is, in pixels of the picture.
        framing: how it was cut out.
        probs: probability by expression, in the order of the network's card; they add up to 1.
        picture: (height, width) or (height, width, 3) uint8, exactly what the (first) network was given.
        warnings: why the answer deserves doubt, see `fer_core.faces.quality`; empty for a good picture.
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
        """The same for the picture enlarged `factor` times."""
        left, top, width, height = (factor * value for value in self.face.box)
        points = None if self.face.points is None else (factor * self.face.points).astype(np.float32)
        return replace(self, face=replace(self.face, box=(left, top, width, height), points=points))


@dataclass(frozen=True, eq=False)
class Member:
    """One network of a predictor."""

    model: nn.Module
    card: Card

    def probs(self, pictures: NDArray[np.uint8], tta: str | None = None) -> NDArray[np.float64]:
        """Probabilities (N, K) in the card's order, its temperature applied, of pictures (N, H, W[, 3]) at its size.

        Args:
            tta: test-time augmentation as `predict_logits` takes it; None: the card's.

        Raises:
            CheckpointError: the network's output is not finite.
        """
        logits = predict_logits(self.model, pictures, self.card.image, tta=self.card.tta if tta is None else tta)
        if not np.isfinite(logits).all():
            raise CheckpointError(
                f"The output of {self.card.name} is not finite, so its training failed; choose another."
            )
        scaled = logits.astype(np.float64) / (self.card.temperature or 1.0)
        odds = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))


class Predictor:
    """Checkpoints, loaded once, that predict on whole pictures. Several threads may use one at once.

    Several networks answer together with the mean of their probabilities, matched by the expression's name. Where
    their vocabularies differ they answer on what all of them know, each network's probabilities scaled to add up to 1
    over those.

    Attributes:
        members: the networks, in the order given.
        expressions: what can be answered, in the order of the first network's card.
    """

    def __init__(self, *folders: str | Path, device: str = "cpu") -> None:
        """
        Raises:
            CheckpointError: as `load_network`.
            ConfigError: no folder, or networks that share fewer than two expressions.
        """
        if not folders:
            raise ConfigError("A predictor needs one network or more; choose one.")
        self.members = tuple(Member(*load_network(Path(folder), device)) for folder in folders)
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
        """The expression of every face of a picture, the largest face first; an empty list if there is none.

        The faces are found once, cut out for each network as its card says and predicted as one batch.

        Args:
            image: (H, W) or (H, W, 3) RGB.
            detector: a name in `fer_core.faces.DETECTORS`; with “none” the whole picture is one face.
            min_size: smallest longer side of a face's box that is looked for, in pixels.
            tta: test-time augmentation as `predict_logits` takes it; None: each card's.

        Raises:
            UnknownName: there is no such detector.
            ImageError: no uint8 picture, or one without pixels.
            CheckpointError: a network's output is not finite.
        """
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.size == 0:
            raise ImageError(f"A picture has to be uint8 (H, W) or (H, W, 3), found {image.dtype} {image.shape}.")
        faces = find_faces(image, detector, min_size)
        if not faces:
            return []
        framing = framed_for(self.card.face, detector)
        cuts = [framing.cut(image, face) for face in faces]
        given = []
        for member in self.members:
            framed = framed_for(member.card.face, detector)
            own = cuts if framed == framing else [framed.cut(image, face) for face in faces]
            given.append(np.stack([fit(cut, member.card.image) for cut in own]))
        return self._answers(faces, framing, cuts, given, tta)

    def predict_row(self, dataset: Dataset, row: int, *, tta: str | None = None) -> Prediction:
        """The expression of one picture of a data set, as an evaluation of the set answers it.

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
        cuts: list[NDArray[np.uint8]],
        given: list[NDArray[np.uint8]],
        tta: str | None,
    ) -> list[Prediction]:
        """The networks' mean answer for each face, from what each network is given of it."""
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
                quality.warnings(face, cut, self.card.image),
            )
            for face, row, picture, cut in zip(faces, probs / len(self.members), given[0], cuts, strict=True)
        ]

    def _shared(self, member: Member, pictures: NDArray[np.uint8], tta: str | None) -> NDArray[np.float64]:
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
    ) -> tuple[NDArray[np.uint8], float]:
        """The picture with what speaks for each face's predicted expression laid over the face.

        Of several networks the first one is explained: maps of different networks have no common scale.

        Args:
            image: (H, W) or (H, W, 3) RGB, the picture of the predictions, or both scaled alike.
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
        spec = self.card.image
        targets = [self.card.expressions.index(prediction.predicted) for prediction in predictions]
        pictures = np.stack([prediction.picture for prediction in predictions])
        layer = attribution_layer(self.card.network, self.model)
        found = explain(self.model, pictures, spec, targets, method, layer)
        limit = max(limit, common_limit(found.map))
        for prediction, one in zip(predictions, found.map, strict=True):
            shown = overlay(shown, _on_photo(one, prediction, shown.shape[:2]), signed=found.signed, limit=limit)
        return shown, limit


def framed_for(card: FaceCrop, detector: str) -> FaceCrop:
    """How faces found by `detector` are cut out for a network whose card names another one.

    Detectors draw boxes of different size around one face; FER2013's own framing, known for each, is the yardstick.
    For a network that was trained on crops (its card says “none”) this is FER2013's framing itself.
    """
    if detector == card.detector:
        return card
    ratio = (1 + FER2013_MARGIN.get(detector, 0.0)) / (1 + FER2013_MARGIN.get(card.detector, 0.0))
    return card.model_copy(update={"detector": detector, "margin": (1 + card.margin) * ratio - 1})


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
