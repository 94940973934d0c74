"""Export in eight bits: a file of a quarter of the size, measured against the network before it is written."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_core.checkpoint import Card, read_card
from fer_core.datasets import Dataset, open_dataset
from fer_core.datasets.identity import HASH
from fer_core.datasets.known import known
from fer_core.errors import ConfigError
from fer_core.evaluation.calibration import validation_split
from fer_core.evaluation.comparison import Difference, paired_difference
from fer_core.evaluation.intervals import SEED
from fer_core.evaluation.predict import answers
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.results import trained_on
from fer_core.serving.export import served_bytes
from fer_core.workspace import write_atomically

HEADS = "heads"
CALIBRATED = 256  # images
LOSS = 0.01  # of accuracy; a file that loses more is written only if one accepts that
BATCH = 32  # images


@dataclass(frozen=True)
class Quantised:
    """What eight bits cost.

    Attributes:
        data: title of the data set that calibrated the file, on images of its training part, and then measured it.
        split: of the measurement, the one that chose the network's epoch.
        accuracy: of the file, 0..1.
        difference: the file minus the network, on the same images.
        size, before: bytes with eight bits and with 32.
    """

    data: str
    split: str
    accuracy: float
    difference: Difference
    size: int
    before: int


def calibrating_data(card: Card, data: str = "") -> Dataset:
    """The data set to quantise a network with: the given one; or the one that the network was trained on, if it was
    added; or else rendered heads.

    Raises:
        DataError: as `open_dataset`.
    """
    own = card.data.split(" ")[0].lower()
    return open_dataset(data or (own if own in known() else HEADS))


def export_int8(
    folder: Path,
    target: Path,
    dataset: Dataset,
    *,
    accept_loss: bool = False,
    on_batch: Callable[[int], None] = lambda done: None,
) -> Quantised:
    """Write a checkpoint as ONNX with weights and activations of convolutions and linear layers in eight bits.

    The ranges of the activations are those of a sample of the training part's images (static quantisation, Jacob et al.
    2018, arXiv 1712.05877). Weights have a scale for each channel and use seven bits, because sums of eight overflow on
    processors without VNNI. The file is used as that of `export_onnx`.

    Args:
        accept_loss: write the file also if it loses more than a point of accuracy.
        on_batch: called with the number of images of the measurement done so far.

    Raises:
        CheckpointError, ConfigError, DataError: as `export_onnx` and `Dataset.rows`; or the file loses more than a
            point, and is not written.
    """
    card = read_card(folder)
    content, _ = served_bytes(folder)
    kept = dataset.without(card.leave_out)
    part, split = trained_on(card), validation_split(card) or "val"
    rows = kept.rows(part)
    sample = np.random.default_rng(SEED).choice(rows, min(CALIBRATED, len(rows)), replace=False)
    found = _quantised(content, kept.images(card.image)[np.sort(sample)])
    theirs, _ = answers(folder, dataset, split)
    ours = _answers(found, card, kept, split, on_batch)
    cost = paired_difference(theirs, ours)
    if cost.accuracy < -LOSS and not accept_loss:
        raise ConfigError(
            f"In eight bits, {card.name} loses {-100 * cost.accuracy:.1f} points of accuracy on {dataset.title}, {split} "
            f"(n = {cost.n:,}), more than the {100 * LOSS:.0f} that is allowed; it was not written. Export it without --int8, "
            "or add --accept-loss."
        )
    write_atomically(target, found)
    return Quantised(dataset.title, split, float(ours.correct.mean()), cost, len(found), len(content))


def _quantised(content: bytes, images: NDArray[np.uint8]) -> bytes:
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Sample(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def __init__(self) -> None:
            self.batches: Iterator[int] = iter(range(0, len(images), BATCH))

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            start = next(self.batches, None)
            return None if start is None else {"pictures": images[start : start + BATCH]}

    with tempfile.TemporaryDirectory() as place:
        whole, small = Path(place) / "whole.onnx", Path(place) / "small.onnx"
        quant_pre_process(onnx.load_from_string(content), whole, skip_symbolic_shape=True)  # constants are folded
        quantize_static(
            whole, small, Sample(), quant_format=QuantFormat.QDQ, op_types_to_quantize=["Conv", "Gemm", "MatMul"],
            per_channel=True, reduce_range=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
        return small.read_bytes()


def _answers(content: bytes, card: Card, dataset: Dataset, split: str, on_batch: Callable[[int], None]) -> Predictions:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    rows, images, parts = dataset.rows(split), dataset.images(card.image), []
    for start in range(0, len(rows), BATCH):
        (probs,) = session.run(None, {"pictures": images[rows[start : start + BATCH]]})
        parts.append(np.log(np.maximum(probs, np.finfo(np.float32).tiny)))
        on_batch(start + len(probs))
    index = dataset.index.iloc[rows]
    return Predictions.from_logits(
        index["id"].tolist(), dataset.name, split, index["label"].tolist(), np.concatenate(parts), card.vocabulary,
        index[HASH].tolist(),
    )  # fmt: skip
