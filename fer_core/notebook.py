"""FERscope in a notebook: `import fer_core as fer`, then `fer.load`, `fer.open_data`, `fer.evaluate`, `fer.compare`.

Thin: each call is the one that pages and commands make, and what it gives shows itself: a network and a report as a table, a
map over its face. Nothing here imports torch before a network is asked.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.checkpoint import Card
from fer_core.datasets import Dataset, open_dataset
from fer_core.errors import DataError
from fer_core.evaluation.comparison import Comparison, leaderboard
from fer_core.evaluation.comparison import compare as compared
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.report import EvaluationReport, figures_table
from fer_core.evaluation.report import evaluate as figures
from fer_core.images import decode
from fer_core.runs.store import Checkpoint, checkpoints, find

if TYPE_CHECKING:
    from fer_core.explanation import Attribution
    from fer_core.serving.predictor import Prediction, Predictor

Image = str | Path | NDArray[np.uint8]
SIDE = 192  # of a shown face, pixels


@dataclass(frozen=True, eq=False)
class Map:
    """What speaks for an expression on one face.

    Attributes:
        values: (H, W) float32; signed if `signed`, positive for the target.
        face: (H, W) or (H, W, 3) uint8, as the network sees it.
        target: the explained expression; `method` and `confidence` as they were.
    """

    values: NDArray[np.float32]
    face: NDArray[np.uint8]
    target: str
    method: str
    signed: bool
    probs: dict[str, float]

    @property
    def overlay(self) -> NDArray[np.uint8]:
        """(h, w, 3) uint8, the map over its face, enlarged."""
        from fer_core.explanation.overlay import common_limit, overlay

        grown = _enlarged(self.face)
        import cv2

        values = cv2.resize(self.values, grown.shape[1::-1], interpolation=cv2.INTER_LINEAR).astype(
            np.float32, copy=False
        )
        return overlay(grown, values, signed=self.signed, limit=common_limit(self.values[None]))

    def _repr_html_(self) -> str:
        words = f"{self.method} for {self.target} ({100 * self.probs[self.target]:.1f} %)"
        shown = _img(_enlarged(self.face), "the face as the network sees it") + _img(self.overlay, words)
        return f"<figure>{shown}<figcaption>{escape(words)}</figcaption></figure>"


@dataclass(frozen=True, eq=False)
class Report:
    """The figures of a network on one data set and split.

    Attributes:
        predictions: the table they are computed from.
        figures: all of them, with intervals.
    """

    name: str
    predictions: Predictions
    figures: EvaluationReport

    @property
    def table(self) -> pd.DataFrame:
        """Every figure: `figure, value, interval, range`."""
        return figures_table(self.figures)

    @property
    def per_class(self) -> pd.DataFrame:
        """One row an expression, with precision, recall, F1 and their intervals."""
        return self.figures.per_class

    @property
    def confusion(self) -> pd.DataFrame:
        """Counts; rows are labels, columns predictions."""
        names = list(self.figures.expressions)
        return pd.DataFrame(self.figures.confusion, index=pd.Index(names, name="label"), columns=names)

    def frame(self) -> pd.DataFrame:
        """One row an image, as other programs read it."""
        return self.predictions.to_frame()

    def __repr__(self) -> str:
        found = self.figures
        return (
            f"{self.name}: accuracy {100 * found.accuracy:.1f} % (95 % CI {found.accuracy_interval.text()}, n = {found.n:,}), "
            f"macro-F1 {100 * found.macro_f1:.1f} ({found.macro_f1_interval.text()})"
        )

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>{self.per_class.round(3).to_html(index=False)}"


@dataclass(frozen=True, eq=False)
class Network:
    """A network of this workspace, or a shipped one."""

    checkpoint: Checkpoint

    @property
    def card(self) -> Card:
        return self.checkpoint.card

    @cached_property
    def predictor(self) -> Predictor:
        """Its weights, loaded when first asked."""
        from fer_core.serving.predictor import Predictor

        return Predictor(self.checkpoint.folder)

    def predict(self, image: Image, detector: str = "mtcnn") -> list[Prediction]:
        """The expression of each face of a photo, the largest face first.

        Args:
            image: a file, or (H, W) or (H, W, 3) RGB uint8.
            detector: “none” where the image is a face and nothing else.

        Raises:
            ImageError: no image that can be read.
        """
        return self.predictor.predict(_pixels(image), detector)

    def explain(
        self, image: Image, method: str = "grad-cam", target: str = "", *, detector: str = "mtcnn", **parameters: Any
    ) -> Map:
        """What speaks for an expression on the largest face.

        Args:
            target: an expression; empty for the predicted one.
            parameters: what the method takes.

        Raises:
            DataError: no face was found.
            ConfigError, UnknownName: no such method or expression, or one that does not suit the network.
        """
        from fer_core.explanation.served import explain_as_served

        found = self.predict(image, detector)
        if not found:
            raise DataError('No face was found; if the image is a face and nothing else, give detector="none".')
        one = found[0]
        asked = target or one.predicted
        made: Attribution = explain_as_served(
            self.predictor.model, self.card, one.picture[None], [asked], method, **parameters
        )
        return Map(made.map[0], one.picture, asked, method, made.signed, one.probs)

    def tables(self) -> list[str]:
        """Keys of its predictions tables, “<data set>-<split>”."""
        return list(self.checkpoint.tables)

    def report(self, table: str = "") -> Report:
        """The figures of one of its tables, or of the first; no image is needed."""
        key = table or next(iter(self.checkpoint.tables), "")
        predictions = self.checkpoint.predictions(key)
        return Report(f"{self.card.title} on {key}", predictions, figures(predictions))

    def __repr__(self) -> str:
        return f"{self.card.title} ({self.checkpoint.name}): {', '.join(self.card.expressions)}"

    def _repr_html_(self) -> str:
        rows = {
            "network": self.card.network, "parameters": f"{self.card.parameters:,}",
            "expressions": ", ".join(self.card.expressions),
            "images": f"{self.card.image.height} x {self.card.image.width}, channels: {self.card.image.channels}",
            "trained on": self.card.data, "tables": ", ".join(self.tables()) or "none yet",
        }  # fmt: skip
        body = "".join(f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in rows.items())
        return f"<table><caption>{escape(self.card.title)}</caption>{body}</table>"


def networks() -> list[str]:
    """Names of the networks that are here, the shipped ones first."""
    return list(checkpoints())


def load(name: str | Path) -> Network:
    """A network by its name, or by the path of its folder; its weights are read when it is first asked.

    Raises:
        UnknownName, CheckpointError: there is none, or its card cannot be read.
    """
    return Network(find(name))


def open_data(path: str | Path) -> Dataset:
    """A data set by its path, or by the name of a known one (“heads” is built in).

    Raises:
        DataError: nothing there, or no known layout.
    """
    return open_dataset(path)


def evaluate(network: Network | str, data: Dataset | str | Path, split: str = "val") -> Report:
    """Predict a split and keep the table, as `ferscope evaluate` does; the figures.

    Raises:
        DataError, CheckpointError: as the command.
    """
    from fer_core.evaluation.predict import predict_checkpoint

    one = network if isinstance(network, Network) else load(network)
    dataset = data if isinstance(data, Dataset) else open_dataset(data)
    predictions, card = predict_checkpoint(one.checkpoint.folder, dataset, split)
    return Report(f"{card.title} on {dataset.name}, {split}", predictions, figures(predictions))


def compare(*networks: Network | Report | str, table: str = "") -> Comparison | pd.DataFrame:
    """Whether networks differ on the images that all predicted: two as a `Comparison`, more of them as a leaderboard.

    Args:
        networks: networks, their names, or reports.
        table: “<data set>-<split>”; of networks the first that all have.

    Raises:
        DataError: fewer than two, or no image in common.
    """
    if len(networks) < 2:
        raise DataError("A comparison needs two networks or more: fer.compare(a, b).")
    tables = {_name(one): _table(one, table, networks) for one in networks}
    if len(tables) == 2:
        first, second = tables.values()
        return compared(first, second)
    return leaderboard(tables)


def _name(one: Network | Report | str) -> str:
    return one if isinstance(one, str) else one.name if isinstance(one, Report) else one.checkpoint.name


def _table(one: Network | Report | str, key: str, networks: Sequence[Network | Report | str]) -> Predictions:
    if isinstance(one, Report):
        return one.predictions
    others = [load(other) if isinstance(other, str) else other for other in networks if not isinstance(other, Report)]
    shared = [name for name in others[0].tables() if all(name in other.tables() for other in others)]
    if not key and not shared:
        raise DataError("These networks have no predictions table in common; fer.evaluate(network, data) makes one.")
    return (load(one) if isinstance(one, str) else one).checkpoint.predictions(key or shared[0])


def _pixels(image: Image) -> NDArray[np.uint8]:
    return image if isinstance(image, np.ndarray) else decode(Path(image))


def _enlarged(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    colour = face if face.ndim == 3 else np.repeat(face[..., None], 3, axis=2)
    grown = cv2.resize(colour, (SIDE, SIDE * face.shape[0] // face.shape[1]), interpolation=cv2.INTER_CUBIC)
    return grown.astype(np.uint8, copy=False)


def _img(pixels: NDArray[np.uint8], words: str) -> str:
    from PIL import Image as pillow

    buffer = io.BytesIO()
    pillow.fromarray(pixels).save(buffer, "PNG")
    return f'<img alt="{escape(words)}" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'
