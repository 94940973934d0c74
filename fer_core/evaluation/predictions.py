"""The predictions table: a network's output for each image. All figures are computed from it.

Images are identified by their content: tables have a `hash` per image, by which they are joined. Older tables without
hashes are joined by data set, split and id.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
from numpy.typing import ArrayLike, NDArray

from fer_core.datasets.identity import HASH, fingerprint
from fer_core.errors import DataError
from fer_core.labels import VOCABULARIES, Expressions

KEY = ["dataset", "split", "id"]
TEXT = ["id", "dataset", "split", "label"]
LOGIT = "logit_"
CLASS_ALONE = (
    2.0**-10
)  # the predicted class's logit where no confidence is known; the others are 0, so all are near chance
HOW = b"ferscope.how"  # in a file's metadata


@dataclass(frozen=True, eq=False)
class Predictions:
    """One row an image: `id`, `dataset`, `split`, `label` (an expression's name), its `hash` (older tables have none) and
    one float32 column `logit_<expression>` for each output of the network, in its order.

    Checked on construction; other columns are left out and rows are numbered from 0. Everything derived from the table
    (probabilities, predicted, confidence, correct) is computed when first used and never stored. A table without rows
    is valid, so a filter may match nothing.

    Raises:
        DataError: a column is missing, a logit is not finite, an image occurs twice or a label is not an expression
            of the network.
    """

    table: pd.DataFrame

    def __post_init__(self) -> None:
        logits = [name for name in map(str, self.table.columns) if name.startswith(LOGIT)]
        missing = [name for name in TEXT if name not in self.table.columns]
        if missing or len(logits) < 2:
            raise DataError(
                f"A predictions table needs the columns {', '.join(TEXT)} and two or more “{LOGIT}<expression>”; "
                f"missing: {', '.join(missing) or 'logits'}. Write it again with `ferscope evaluate`."
            )
        known = HASH in self.table.columns and self.table[HASH].notna().all()  # older rows among others have none
        text = [*TEXT, HASH] if known else TEXT
        table = self.table[[*text, *logits]].reset_index(drop=True)
        _refuse(table[text].isna().any(axis=1), table, "an empty id, dataset, split or label; fill it in")
        try:
            with np.errstate(over="ignore"):  # a value too large for float32 becomes inf and is refused below
                table = table.astype({**dict.fromkeys(text, "str"), **dict.fromkeys(logits, "float32")})
        except (ValueError, TypeError) as error:
            raise DataError(f"A logit column of the predictions table holds no numbers ({error}).") from error
        object.__setattr__(self, "table", table)
        finite = np.isfinite(table[logits].to_numpy()).all(axis=1)
        _refuse(
            ~finite, table, "a logit that is not finite (NaN or infinite); the network has diverged, train it again"
        )
        _refuse(table.duplicated(KEY), table, "an id that occurs earlier in its data set and split; ids must be unique")
        names = self.expressions.names
        unknown = ~table["label"].isin(names)
        _refuse(unknown, table, f"a label that is no expression of this network ({', '.join(names)}); leave them out")

    @classmethod
    def from_logits(
        cls,
        ids: Sequence[object],
        dataset: str | Sequence[str],
        split: str | Sequence[str],
        labels: Sequence[str],
        logits: ArrayLike,
        expressions: Expressions,
        hashes: Sequence[str] | None = None,
    ) -> Predictions:
        """The table of a network's outputs.

        Args:
            ids: n ids, each unique within its data set and split; they become text.
            dataset: the data set's name, or n of them.
            split: the split's name, or n of them.
            labels: n names of expressions.
            logits: (n, k), in the order of `expressions`.
            expressions: the network's k expressions.
            hashes: of the n images; None where they are not at hand.
        """
        values = np.asarray(logits, dtype=np.float64)
        if values.shape != (len(ids), len(expressions)) or len(labels) != len(ids):
            raise DataError(
                f"Found {len(ids)} ids, {len(labels)} labels and logits of shape {values.shape}; "
                f"expected logits of shape ({len(ids)}, {len(expressions)}) and one label an id."
            )
        text = {"id": list(ids), "dataset": dataset, "split": split, "label": list(labels)}
        if hashes is not None:
            text[HASH] = list(hashes)
        index = pd.RangeIndex(len(values))
        columns = pd.Index([LOGIT + name for name in expressions.names])
        return cls(pd.concat([pd.DataFrame(text, index=index), pd.DataFrame(values, index, columns)], axis=1))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Predictions:
        """Read a parquet file.

        Raises:
            DataError: the file is missing, is no parquet or holds no valid table.
        """
        try:
            table = pd.read_parquet(path)
        except FileNotFoundError as error:
            raise DataError(f"{path}: there is no such predictions table; `ferscope evaluate` writes one.") from error
        except (OSError, pyarrow.ArrowException) as error:
            raise DataError(f"{path}: this is no readable parquet file ({error}).") from error
        try:
            return cls(table)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error

    def write(self, path: str | os.PathLike[str], how: str = "") -> None:
        """Write a parquet file, whole or not at all: a reader sees the old file or the new one.

        Args:
            how: the answers were obtained, one of `results.OBTAINED` if it is known; `how_of` reads it.
        """
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            table = pyarrow.Table.from_pandas(self.table, preserve_index=False)
            told = {**(table.schema.metadata or {}), **({HOW: how.encode()} if how else {})}
            pyarrow.parquet.write_table(table.replace_schema_metadata(told), part)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)

    def __len__(self) -> int:
        return len(self.table)

    def where(self, mask: ArrayLike) -> Predictions:
        """The rows for which `mask` (n booleans) holds, in the same order."""
        return Predictions(self.table[np.asarray(mask, dtype=bool)])

    @property
    def has_hashes(self) -> bool:
        """Whether the table has a hash for each image."""
        return HASH in self.table.columns

    @cached_property
    def fingerprint(self) -> str:
        """Of its images and their labels and splits, in any order; of an older table, of their ids."""
        image = self.table[HASH] if self.has_hashes else "id " + self.table["id"]
        return fingerprint(image, self.table["split"] + " " + self.table["label"])

    @cached_property
    def expressions(self) -> Expressions:
        """The network's expressions in the order of its outputs: a known vocabulary, or one called “custom”."""
        names = tuple(name.removeprefix(LOGIT) for name in self.table.columns if name.startswith(LOGIT))
        known = (vocabulary for vocabulary in VOCABULARIES.values() if vocabulary.names == names)
        return next(known, Expressions("custom", names))

    @cached_property
    def logits(self) -> NDArray[np.float64]:
        """(n, k), in the order of `expressions`."""
        return self.table[[LOGIT + name for name in self.expressions.names]].to_numpy(dtype=np.float64)

    @cached_property
    def probs(self) -> NDArray[np.float64]:
        """(n, k) in 0..1, each row sums to 1: the softmax of the logits."""
        powers = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    @cached_property
    def only_classes(self) -> bool:
        """Whether nothing but the predicted class is known, as of imported tables: each row has one logit of `CLASS_ALONE`, and
        0 for the rest. Figures that need a confidence say nothing of such a table."""
        alone = (self.logits == CLASS_ALONE).sum(axis=1) == 1
        return bool(len(self) and alone.all() and (np.count_nonzero(self.logits, axis=1) == 1).all())

    def to_frame(self) -> pd.DataFrame:
        """The table as other programs read it: `id`, `dataset`, `split`, `label`, `hash` if known, `predicted`, and unless only
        the classes are known `confidence`, and `prob_` and `logit_` of each expression."""
        first = self.table[[*TEXT, *([HASH] if self.has_hashes else [])]].assign(predicted=self.predicted)
        if self.only_classes:
            return first
        probs = pd.DataFrame(self.probs, columns=[f"prob_{name}" for name in self.expressions.names])
        logits = self.table[[LOGIT + name for name in self.expressions.names]]
        return pd.concat([first.assign(confidence=self.confidence), probs, logits], axis=1)

    @cached_property
    def label_index(self) -> NDArray[np.int64]:
        """(n,) position of the given label in `expressions`."""
        order = pd.Index(self.expressions.names)
        return order.get_indexer(pd.Index(self.table["label"])).astype(np.int64)

    @cached_property
    def predicted_index(self) -> NDArray[np.int64]:
        """(n,) position of the largest logit; of equal ones the first."""
        return np.asarray(self.logits.argmax(axis=1), dtype=np.int64)

    @cached_property
    def predicted(self) -> NDArray[Any]:
        """(n,) names of the predicted expressions, as Python strings."""
        return np.array(self.expressions.names, dtype=object)[self.predicted_index]

    @cached_property
    def confidence(self) -> NDArray[np.float64]:
        """(n,) probability of the predicted expression, in 1/k..1."""
        return np.asarray(self.probs.max(axis=1))

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """(n,) whether the predicted expression is the label."""
        return np.asarray(self.predicted_index == self.label_index)

    @cached_property
    def loss(self) -> NDArray[np.float64]:
        """(n,) negative natural logarithm of the label's probability, 0 or more; finite also where that rounds to 0."""
        shifted = self.logits - self.logits.max(axis=1, keepdims=True)
        given = np.take_along_axis(shifted, self.label_index[:, None], axis=1)[:, 0]
        return np.asarray(np.log(np.exp(shifted).sum(axis=1)) - given)


def image_keys(*tables: Predictions) -> list[pd.DataFrame]:
    """What names the images of several tables, a row each: equal rows of two of them are one image with one label.

    By split, content and label where all tables know their images' hashes, images that occur several times numbered; else
    by data set, split, id and label.
    """
    if not all(table.has_hashes for table in tables):
        return [table.table[[*KEY, "label"]] for table in tables]
    found = [table.table[["split", HASH, "label"]] for table in tables]
    return [frame.assign(turn=frame.groupby(list(frame.columns)).cumcount()) for frame in found]


def how_of(path: str | os.PathLike[str]) -> str:
    """How the predictions of a saved table were obtained; “” if that is not known or there is no table."""
    try:
        return str((pyarrow.parquet.read_schema(path).metadata or {}).get(HOW, b"").decode())
    except (OSError, pyarrow.ArrowException, UnicodeDecodeError):
        return ""


def _refuse(bad: ArrayLike, table: pd.DataFrame, what: str) -> None:
    """Raise a DataError that counts the bad rows and names the first."""
    rows = np.flatnonzero(np.asarray(bad))
    if len(rows):
        row = table.iloc[rows[0]]
        example = f"{row['id']} of {row['dataset']} {row['split']}, label {row['label']}"
        raise DataError(f"{len(rows)} of {len(table)} rows have {what}. The first: {example}.")
