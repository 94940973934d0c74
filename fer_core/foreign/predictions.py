"""Predictions of any other program as a predictions table: what its columns hold is guessed, shown, and may be corrected.

A row names an image (a file or an id) and says what was predicted: a class, or a value for each expression, in columns of
any usual name (`happy`, `prob_happy`, `p3` with an order given) or as JSON in one column. Labels stand in the file too, or
come from a data set, whose images the rows are then joined to. What does not fit is counted and named.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import pyarrow
from numpy.typing import NDArray

from fer_core.checkpoint import PREDICTIONS
from fer_core.datasets import Dataset, Skipped
from fer_core.datasets.csv_header import SEPARATORS
from fer_core.datasets.files import SPLIT_WORDS
from fer_core.datasets.identity import ENOUGH, HASH, LEAST_AGREEING
from fer_core.datasets.numbered import NUMBERINGS
from fer_core.datasets.table import FILE, LABEL, SPLIT
from fer_core.errors import ConfigError, DataError, shortened
from fer_core.evaluation.predictions import CLASS_ALONE, Predictions
from fer_core.evaluation.report import evaluate
from fer_core.foreign import card_of, imported, named_order
from fer_core.foreign.order import better_order
from fer_core.labels import COLOURS, Expressions, canonical, vocabulary
from fer_core.untrusted import bounded_file, parse_json

Kind = Literal["logits", "probabilities", "per cent", "log-probabilities", "scores"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LARGEST = 512 * 2**20  # bytes of a table
IMAGE = (
    *FILE,
    "id",
    "imageid",
    "img_id",
    "image_file",
    "identity",
    "sample",
    "key",
    "input",
    "row",
    "index",
    "",
    "unnamed:_0",
)
TRUE = (
    "true", "truth", "true_label", "ground_truth", "groundtruth", "gt", "actual", "y_true", "y", "target_label", "label_true",
)  # fmt: skip
PREDICTED = (
    "predicted", "prediction", "pred", "y_pred", "predicted_label", "pred_label", "predicted_class", "predicted_emotion",
    "label_pred", "output", "answer", "dominant_emotion", "top1", "argmax",
)  # fmt: skip
PACKED = (
    "scores",
    "probs",
    "probabilities",
    "logits",
    "emotions",
    "predictions",
    "output",
    "outputs",
    "softmax",
    "emotion",
)
# Words around an expression's name or number in a column's name, which say nothing more.
AROUND = frozenset(
    {
        "p", "pr", "prob", "probs", "probability", "probabilities", "score", "scores", "logit", "logits", "softmax", "sigmoid",
        "conf", "confidence", "class", "cls", "emotion", "expression", "expr", "pred", "predicted", "prediction", "output",
        "out", "c", "log", "logp", "logprob", "of", "is", "the",
    }
)  # fmt: skip
ROUNDING = 0.02  # by which a row of probabilities that were printed with few digits may miss 1
LEAST = 1e-12  # probability below which an answer is not told from impossible


@dataclass(frozen=True)
class Columns:
    """What the columns of a table hold, by their own names; “” for none.

    Attributes:
        image: file or id.
        predicted: the predicted class, by word or by number.
        scores: expression to the column of its values.
        packed: a column of JSON: an object with a value an expression, or a list in the `order`.
        order: of the expressions, where numbers stand for them.
        kind: what the values are; “” where they are none, or where it has to be said.
    """

    image: str = ""
    label: str = ""
    predicted: str = ""
    split: str = ""
    scores: Mapping[str, str] = field(default_factory=dict)
    packed: str = ""
    order: tuple[str, ...] = ()
    kind: Kind | Literal[""] = ""

    @property
    def sentence(self) -> str:
        """What was understood, for a person who can correct it."""
        parts = [
            f"{what} in “{column}”"
            for what, column in (
                ("images", self.image), ("labels", self.label), ("split", self.split), ("predicted class", self.predicted)
            )
            if column
        ]  # fmt: skip
        if self.scores:
            parts.append(f"{self.kind or 'values'} of {', '.join(f'{n} in “{c}”' for n, c in self.scores.items())}")
        if self.packed:
            parts.append(f"{self.kind or 'values'} in “{self.packed}” (JSON)")
        return "; ".join(parts) or "nothing"


@dataclass(frozen=True)
class Imported:
    """What a table came to.

    Attributes:
        tables: by split.
        notes: what has to be said of it, a sentence each.
        left_out: rows or images that are in no table, with the reason and how many.
    """

    tables: dict[str, Predictions]
    notes: tuple[str, ...]
    left_out: tuple[Skipped, ...]

    @property
    def rows(self) -> int:
        return sum(map(len, self.tables.values()))


def read_table(source: Path | bytes, name: str = "") -> pd.DataFrame:
    """A csv (commas, semicolons, tabs or bars between its columns) or parquet file; cells of a csv are text.

    Args:
        source: the file, or its content.
        name: what it is called, where `source` is its content.

    Raises:
        DataError: missing, too large, damaged, or without rows.
    """
    path = source if isinstance(source, Path) else Path(name)
    try:
        content = bounded_file(source, LARGEST).read_bytes() if isinstance(source, Path) else source
        held = content.startswith(b"PAR1")
        table = pd.read_parquet(io.BytesIO(content)) if held else _csv(content.decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: there is no such file; give the path of a csv or parquet file of predictions."
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} is neither a csv in UTF-8 nor a parquet file; save it as one of them.") from error
    except (OSError, ValueError, csv.Error, pyarrow.ArrowException) as error:
        raise DataError(f"{path.name} is no readable table ({shortened(str(error), 200)}); save it again.") from error
    if not len(table) or len(table.columns) < 2:
        raise DataError(
            f"{path.name} has {len(table):,} rows and {len(table.columns)} columns; expected a row an image, with its file or "
            "id and what was predicted."
        )
    return table.rename(columns=str).reset_index(drop=True)


def _csv(text: str) -> pd.DataFrame:
    first = text.partition("\n")[0]
    separator = max(SEPARATORS, key=first.count)
    table = pd.read_csv(io.StringIO(text), sep=separator, dtype="str", keep_default_na=False)
    if separator != ",":  # spreadsheets that put semicolons between columns write 0,5 for a half
        table = table.replace(r"^(-?\d+),(\d+)$", r"\1.\2", regex=True)
    return table


# ------------------------------------------------------------------------------------------------------------ guessing


def guess(table: pd.DataFrame, order: Sequence[str] = ()) -> Columns:
    """What the columns of a table most likely hold.

    Args:
        order: of the expressions, where columns or classes have numbers.
    """
    plain = {re.sub(r"[\s.-]+", "_", name.strip().lower()): name for name in table.columns}

    def first(known: Sequence[str], but: Sequence[str] = ()) -> str:
        return next((plain[word] for word in known if word in plain and plain[word] not in but), "")

    names, numbered = _named(list(table.columns)), _numbered(list(table.columns))
    scores: dict[str, str] = names if len(names) > 1 else {}
    if not scores and len(order) == len(numbered) > 1:
        scores = dict(zip(order, numbered, strict=True))
    packed = ""
    if not scores:
        texts = [name for word in PACKED if (name := plain.get(word)) and _is_packed(table[name].iloc[0])]
        packed = next(iter(texts), "")
    used = [*scores.values(), *numbered, packed]
    predicted = first(PREDICTED, used)
    label = first(TRUE, [*used, predicted]) or (
        first(LABEL, [*used, predicted]) if predicted or scores or packed else ""
    )
    image = first(IMAGE, [*used, predicted, label])
    found = Columns(image, label, predicted, first(SPLIT), scores, packed, tuple(order))
    values = _values(table, found)
    return Columns(**{**vars(found), "kind": kind_of(values) if values is not None else ""})


def ordered(text: str) -> tuple[str, ...]:
    """An order of expressions as people give it: words between commas, or the name of a numbering (`rafdb-from-0`).

    Raises:
        ConfigError: a single word that is no numbering.
        DataError: an expression occurs twice.
    """
    if text.strip() in NUMBERINGS:
        return tuple(NUMBERINGS[text.strip()].values())
    words = tuple(word for word in (part.strip() for part in text.split(",")) if word)
    if len(words) == 1:
        raise ConfigError(f"“{words[0]}” is no numbering ({', '.join(NUMBERINGS)}); or give words: angry,disgust,....")
    return named_order(words).names if words else ()


def _words(column: str) -> list[str]:
    """The words of a column's name that say something: “prob_Happy” -> ["happy"], “p3” -> ["3"]."""
    apart = re.sub(r"(?<=[a-zA-Z])(?=\d)|(?<=[a-z])(?=[A-Z])", " ", column)
    return [word for word in re.split(r"[^0-9a-zA-Z]+", apart.lower()) if word and word not in AROUND]


def _named(columns: Sequence[str]) -> dict[str, str]:
    """Expression to the one column that is called by it, in the order of FER2013's numbers, contempt last."""
    found: dict[str, str] = {}
    for column in columns:
        words = _words(column)
        if len(words) == 1 and (name := canonical(words[0])):
            found.setdefault(name, column)
    return {name: found[name] for name in COLOURS if name in found}


def _numbered(columns: Sequence[str]) -> list[str]:
    """Columns that are called by 0, 1, 2, ... or 1, 2, 3, ... without a gap, in that order."""
    found = {int(words[0]): column for column in columns if len(words := _words(column)) == 1 and words[0].isdecimal()}
    numbers = sorted(found)
    whole = len(numbers) > 1 and numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return [found[number] for number in numbers] if whole else []


def _is_packed(cell: object) -> bool:
    return isinstance(cell, dict | list | np.ndarray) or (isinstance(cell, str) and cell.strip()[:1] in ("{", "["))


def kind_of(values: NDArray[np.float64]) -> Kind | Literal[""]:
    """What values (n, k) are, as far as they show it; “” for values from 0 up whose rows have no common sum."""
    rows = values[np.isfinite(values).all(axis=1)]
    if not len(rows):
        return ""
    sums = float(np.median(rows.sum(axis=1)))
    if rows.min() >= 0:
        if abs(sums - 1) <= ROUNDING:
            return "probabilities"
        return "per cent" if abs(sums - 100) <= 100 * ROUNDING else ""
    if rows.max() <= 0 and abs(float(np.median(np.exp(rows).sum(axis=1))) - 1) <= ROUNDING:
        return "log-probabilities"
    return "logits"


# ------------------------------------------------------------------------------------------------------------- reading


def _values(table: pd.DataFrame, columns: Columns) -> NDArray[np.float64] | None:
    """(n, k) values in the order of `_expressions`, NaN where a cell holds no number; None where there are no values."""
    if columns.scores:
        cells = table[list(columns.scores.values())].apply(pd.to_numeric, errors="coerce")
        return np.asarray(cells.to_numpy(dtype=np.float64))
    if not columns.packed:
        return None
    names = _expressions(table, columns)
    found = np.full((len(table), len(names)), np.nan)
    for row, cell in enumerate(table[columns.packed]):
        value = _unpacked(cell)
        if isinstance(value, dict):
            value = [{canonical(str(key)) or str(key): one for key, one in value.items()}.get(name) for name in names]
        if isinstance(value, list) and len(value) == len(names) and all(isinstance(x, int | float) for x in value):
            found[row] = value
    return found


def _unpacked(cell: object) -> object:
    """The object or list of a cell; None where it holds neither."""
    if isinstance(cell, str):
        try:
            cell = parse_json(cell if '"' in cell else cell.replace("'", '"'))  # as Python prints a dictionary
        except ValueError:
            return None
    return cell.tolist() if isinstance(cell, np.ndarray) else cell


def _expressions(table: pd.DataFrame, columns: Columns) -> tuple[str, ...]:
    """The expressions of the values, in their order."""
    if columns.scores:
        return tuple(columns.scores)
    first = _unpacked(table[columns.packed].iloc[0])
    if isinstance(first, dict):
        return tuple(canonical(str(key)) or str(key) for key in first)
    return columns.order


def convert(
    table: pd.DataFrame, columns: Columns, *, dataset: Dataset | None = None, split: str = "", name: str = "imported"
) -> Imported:
    """Predictions tables of a foreign table, one a split.

    Args:
        dataset: whose images they are of; labels and hashes come from it. None: labels stand in the table.
        split: that the images belong to, where neither the table nor the data set says so; with a data set, the only split
            that is looked at.
        name: of the set in the tables, without a data set.

    Raises:
        DataError: rows that name no image of the set, or too few; labels of other images; a class of no expression;
            values that are none; an image with two different answers.
        ConfigError: columns that have to be named, or numbers whose order is missing.
    """
    _refuse_incomplete(table, columns, dataset)
    ids = table[columns.image].astype(str).str.strip()
    values = _values(table, columns)
    left, notes = [], []
    if values is None:
        predicted = _classes(table[columns.predicted], columns)
        names = vocabulary([*predicted, *(_classes(table[columns.label], columns) if columns.label else ())])
        logits = CLASS_ALONE * np.equal.outer(predicted.to_numpy(), np.array(names.names, dtype=object)).astype(
            np.float64
        )
        notes.append(
            "Only the predicted class is known, so there are no confidences: figures that need them are not given."
        )
        good = np.ones(len(table), bool)
    else:
        names = named_order(_expressions(table, columns))
        logits, good, said = _logits(values, columns.kind)
        notes += said
        if not good.all():
            left.append(Skipped(ids[~good].iloc[0], "a value is missing, no number or not finite", int((~good).sum())))
    rows = pd.DataFrame({"id": ids, "row": np.arange(len(table))})
    rows["split"] = _splits(table, columns, split)
    if columns.label:
        rows["label"] = _classes(table[columns.label], columns)
    rows = rows[good]
    rows, twice = _once(rows, logits, columns)
    notes += twice
    if dataset is not None:
        rows, lost, said = _joined(rows, dataset, split)
        left += lost
        notes += said
    outside = ~rows["label"].isin(names.names)
    if outside.any():
        words = rows.loc[outside, "label"].value_counts()
        listed = ", ".join(f"{word} ({count:,})" for word, count in words.items())
        left.append(Skipped(f"labelled {listed}", "no output of the network", int(outside.sum())))
        rows = rows[~outside]
    if not len(rows):
        raise DataError(f"No row is left: {'; '.join(f'{one.n:,} {one.id}: {one.reason}' for one in left)}.")
    tables = {}
    for part, of_it in rows.groupby("split", sort=False):
        at = of_it["row"].to_numpy()
        tables[str(part)] = Predictions.from_logits(
            of_it["id"].tolist(), dataset.name if dataset else name, str(part), of_it["label"].tolist(), logits[at], names,
            of_it[HASH].tolist() if HASH in of_it.columns else None,
        )  # fmt: skip
    notes += _contradictions(table, columns, names, logits, rows["row"].to_numpy()) if values is not None else []
    if values is not None:
        every = pd.concat([one.table["label"] for one in tables.values()])
        stacked = np.concatenate([one.logits for one in tables.values()])
        if better := better_order(stacked, every.tolist(), names):
            notes.append(f"{better.sentence} Check the order of the columns.")
    return Imported(tables, tuple(notes), tuple(left))


def _refuse_incomplete(table: pd.DataFrame, columns: Columns, dataset: Dataset | None) -> None:
    """
    Raises:
        ConfigError: something has to be said that the table does not say.
    """
    have = ", ".join(f"“{name}”" for name in table.columns[:12]) + (" …" if len(table.columns) > 12 else "")
    named = [columns.image, columns.label, columns.predicted, columns.split, columns.packed, *columns.scores.values()]
    if unknown := [name for name in named if name and name not in table.columns]:
        raise ConfigError(f"There is no column “{unknown[0]}”; the table has {have}.")
    if not columns.image:
        raise ConfigError(
            f"No column names the image; name the one with its file or id (--image). The table has {have}."
        )
    numbered = _numbered(list(table.columns))
    if not (columns.scores or columns.packed or columns.predicted):
        if numbered:
            found = f"{len(numbered)} columns have numbers ({numbered[0]} to {numbered[-1]})"
            given = f"the order names {len(columns.order)} expressions" if columns.order else "their order is not given"
            raise ConfigError(
                f"{found} and {given}; give one expression for each: --order angry,disgust,... or the name of a numbering "
                f"({', '.join(NUMBERINGS)})."
            )
        raise ConfigError(
            "No column says what was predicted: expected a class (--predicted), or a column an expression, such as happy or "
            f"prob_happy. The table has {have}."
        )
    if columns.packed and not _expressions(table, columns):
        raise ConfigError(
            f"“{columns.packed}” holds lists, and nothing says which expression stands where: give --order."
        )
    if not columns.label and dataset is None:
        raise ConfigError(
            f"No column holds the labels; name it (--label), or the data set that has them (--data). The table has {have}."
        )
    if (columns.scores or columns.packed) and not columns.kind:
        values = _values(table, columns)
        assert values is not None
        sums = np.nansum(values, axis=1)
        raise ConfigError(
            f"The values of a row add up to {sums.min():.3g} to {sums.max():.3g}, so they are no probabilities. Say what they "
            f"are: --kind logits, or --kind scores to have each row rescaled to 1."
        )


def _classes(cells: pd.Series, columns: Columns) -> pd.Series:
    """Words or numbers of expressions as standard names.

    Raises:
        ConfigError: numbers without an order, or outside it.
        DataError: a word that names no expression.
    """
    texts = cells.astype(str).str.strip().str.removesuffix(".0")
    numbers = texts.str.fullmatch(r"\d+")
    if numbers.any() and not columns.order:
        raise ConfigError(
            f"“{cells.name}” holds numbers ({', '.join(sorted(set(texts[numbers]))[:9])}), and nothing says "
            "which expressions they "
            f"stand for: give --order angry,disgust,... or the name of a numbering ({', '.join(NUMBERINGS)})."
        )
    known = {str(number): word for number, word in enumerate(columns.order)}
    own = {word: word for word in (*columns.order, *columns.scores)}
    words = {text: known.get(text) or canonical(text) or own.get(text.lower()) for text in set(texts)}
    if unknown := sorted(text for text, word in words.items() if word is None):
        row = int(np.flatnonzero(texts == unknown[0])[0])
        raise DataError(
            f"“{cells.name}”, row {row + 1}: “{shortened(unknown[0])}” is no expression that is known here; "
            "rename it, or give the "
            "order that its number belongs to (--order)."
        )
    return texts.map(words)


def _logits(values: NDArray[np.float64], kind: str) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[str]]:
    """Logits (n, k) of values of a kind, which rows are usable, and what was done."""
    said: list[str] = []
    good: Any = np.isfinite(values).all(axis=1)
    if kind in ("logits", "log-probabilities"):
        return np.where(good[:, None], values, 0.0), good, said
    total = values.sum(axis=1)
    good = good & (values >= -LEAST).all(axis=1) & (total > 0)
    whole = 100.0 if kind == "per cent" else 1.0
    off = good & (np.abs(total - whole) > ROUNDING * whole)
    if off.any() and kind != "scores":
        said.append(
            f"{int(off.sum()):,} rows did not add up to {whole:g} and were rescaled (the first to {total[off][0]:.3g})."
        )
    share = np.divide(values, total[:, None], out=np.ones_like(values), where=good[:, None])
    return np.log(np.maximum(share, LEAST)), good, said


def _splits(table: pd.DataFrame, columns: Columns, split: str) -> pd.Series:
    """Each row's split; “” where nothing says so."""
    if not columns.split:
        return pd.Series([split] * len(table))
    found = table[columns.split].astype(str).str.strip().str.lower().map(SPLIT_WORDS)
    if found.isna().any():
        word = table.loc[found.isna(), columns.split].iloc[0]
        raise DataError(f"“{columns.split}” holds “{shortened(str(word))}”, expected train, val or test.")
    return found


def _once(rows: pd.DataFrame, logits: NDArray[np.float64], columns: Columns) -> tuple[pd.DataFrame, list[str]]:
    """Each image once; of equal rows the first.

    Raises:
        DataError: an image has two different answers.
    """
    again = rows.duplicated(["split", "id"])
    if not again.any():
        return rows, []
    first = rows.drop_duplicates(["split", "id"]).set_index(["split", "id"])["row"]
    twice = rows[again]
    before = first.loc[pd.MultiIndex.from_frame(twice[["split", "id"]])].to_numpy()
    same = np.isclose(logits[twice["row"].to_numpy()], logits[before]).all(axis=1)
    if not same.all():
        raise DataError(
            f"“{columns.image}” names {int((~same).sum()):,} images more than once with different answers, the first "
            f"{twice['id'].iloc[int(np.flatnonzero(~same)[0])]}; keep one row an image."
        )
    return rows[~again], [f"{int(again.sum()):,} rows occur twice with the same answer and count once."]


# ------------------------------------------------------------------------------------------------------------- joining


def _tail(parts: int) -> Callable[[str], str]:
    return lambda text: "/".join(text.replace("\\", "/").lower().split("/")[-parts:])


def _number(text: str) -> str:
    digits = re.findall(r"\d+", text)
    return str(int(digits[-1])) if len(digits) == 1 else ""


# How an image of a set is found by what a table calls it, the surest first.
KEYS: tuple[Callable[[str], str], ...] = (
    str, _tail(3), _tail(2), _tail(1), lambda text: _tail(1)(text).rpartition(".")[0] or _tail(1)(text), _number,
)  # fmt: skip


def positions(names: Sequence[str], index: pd.DataFrame) -> NDArray[np.int64]:
    """(n,) row of the index that each name means: its id, the end of its path, its file's name, or its number; -1 where none
    or several are meant."""
    found = np.full(len(names), -1, dtype=np.int64)
    ids = index["id"].astype(str).tolist()
    for key in KEYS:
        open_rows = np.flatnonzero(found < 0)
        if not len(open_rows):
            break
        theirs = pd.Series([key(one) for one in ids])
        unique = theirs[(theirs != "") & ~theirs.duplicated(keep=False)]
        place = pd.Index(unique).get_indexer(pd.Index([key(names[int(row)]) for row in open_rows]))
        found[open_rows[place >= 0]] = unique.index.to_numpy()[place[place >= 0]]
    return found


def _joined(rows: pd.DataFrame, dataset: Dataset, split: str) -> tuple[pd.DataFrame, list[Skipped], list[str]]:
    """The rows with id, split, label and hash of the set's images.

    Raises:
        DataError: no row names one of them; their labels show that they are other images; two rows name one.
    """
    allowed = dataset.index.iloc[dataset.rows(split)] if split else dataset.index[dataset.index["split"].notna()]
    at = np.full(len(rows), -1, dtype=np.int64)
    for part in rows["split"].unique():
        mine = (rows["split"] == part).to_numpy()
        index = allowed[allowed["split"] == part] if part else allowed
        within = positions(rows.loc[mine, "id"].tolist(), index.reset_index(drop=True))
        numbers = np.append(index.index.to_numpy(), -1)
        at[mine] = numbers[within]
    named = rows["id"].iloc[int(np.flatnonzero(at < 0)[0])] if (at < 0).any() else ""
    ids = ", ".join(allowed["id"].astype(str).head(2))
    where = f"{dataset.title}{f', {split}' if split else ''}"
    if (at < 0).all():
        raise DataError(
            f"None of the {len(rows):,} rows names an image of {where}: found “{shortened(named)}”, "
            f"its images are called {ids}, …."
        )
    left = [Skipped(named, f"no image of {where}, or several", int((at < 0).sum()))] if named else []
    rows, at = rows[at >= 0], at[at >= 0]
    index = dataset.index.loc[at]
    notes = []
    if "label" in rows.columns:
        same = rows["label"].to_numpy() == index["label"].to_numpy()
        if len(rows) >= ENOUGH and same.mean() < LEAST_AGREEING:
            raise DataError(
                f"{where} has other labels than the table for {int((~same).sum()):,} of {len(rows):,} rows, the first "
                f"{rows['id'].iloc[int(np.flatnonzero(~same)[0])]}; these are other images, or the numbers of the classes mean "
                "something else."
            )
        if not same.all():
            notes.append(f"{int((~same).sum()):,} labels of the table differ from the set's, which count.")
    made = index[["id", "split", "label", HASH]].reset_index(drop=True).assign(row=rows["row"].to_numpy())
    if (again := made.duplicated(["split", "id"])).any():
        raise DataError(
            f"{int(again.sum()):,} rows name an image that an earlier row names, the first "
            f"{made['id'][again].iloc[0]}; keep one of them."
        )
    if unlabelled := int(made["label"].isna().sum()):
        left.append(Skipped(where, "the image has no label", unlabelled))
        made = made[made["label"].notna()]
    missing = allowed[allowed["split"].isin(made["split"].unique())]
    if len(made) < len(missing):
        notes.append(f"{len(made):,} of the {len(missing):,} images of {where} have a prediction.")
    return made, left, notes


def _contradictions(
    table: pd.DataFrame, columns: Columns, names: Expressions, logits: NDArray[np.float64], rows: NDArray[np.int64]
) -> list[str]:
    """Whether the predicted class of the table is that of the highest value."""
    if not columns.predicted:
        return []
    said = _classes(table[columns.predicted].iloc[rows], columns).to_numpy()
    highest = np.array(names.names, dtype=object)[logits[rows].argmax(axis=1)]
    other = int((said != highest).sum())
    return (
        [
            f"“{columns.predicted}” is not the expression of the highest value in {other:,} of {len(rows):,} rows; the "
            "values count."
        ]
        if other
        else []
    )


# ------------------------------------------------------------------------------------------------------------- keeping


def import_predictions(found: Imported, name: str, source: str, content: bytes, *, title: str = "") -> Path:
    """Keep what `convert` gave as a network of the workspace that has tables and no weights; its folder.

    Args:
        source: the name of the file, and `content` what is in it.

    Raises:
        RunError: the name is taken or cannot be a network's.
    """
    with imported(name, title or name, source, content, PREDICTIONS) as run:
        results = {}
        for split, table in found.tables.items():
            key = f"{table.table['dataset'].iloc[0]}-{split}"
            table.write(run.path / f"predictions-{key}.parquet")
            results[key] = evaluate(table).to_json()
        expressions = next(iter(found.tables.values())).expressions
        card_of(run, title or name, expressions, PREDICTIONS, results=results)
    return run.path
