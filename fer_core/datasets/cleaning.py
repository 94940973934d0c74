"""Cleaning steps for images and labels, and the record of the changes.

Each step takes an index (and images) and names the rows it would drop or relabel; nothing is changed in place, and the
source files stay untouched. `derived.py` applies the steps.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.datasets import Dataset, Skipped
from fer_core.datasets.duplicates import Duplicates, contradicting
from fer_core.datasets.identity import HASH, same_images
from fer_core.datasets.titles import split_title
from fer_core.errors import DataError
from fer_core.labels import canonical, suggestion

BLANK = 2.0  # standard deviation of the grey levels; 12 of FER2013's images have 0, one 0.7, and its faces begin at 9
UNCLEAR = "unclear"  # in a csv of corrections: the image has no right label and is dropped
STEPS = ("blank", "faceless", "contradicting", "duplicates", "leaks")  # “faceless” is in `faceless.py`


def blank(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(n,) whether an image shows nothing: its grey levels deviate by less than `BLANK`.

    Args:
        images: (n, H, W) or (n, H, W, 3) uint8.
    """
    return np.array([float(image.std()) < BLANK for image in images], dtype=bool)


def drop(index: pd.DataFrame, images: NDArray[np.uint8], found: Duplicates, step: str) -> dict[int, str]:
    """The rows that a step drops, each with the reason.

    Args:
        index: of the set.
        images: (n, 48, 48) uint8, its images.
        found: its duplicates.
        step: “blank”; “contradicting” (pixel-identical images with different labels, all of them); “duplicates” (all
            but the first of a group, of each split); “leaks” (training images that are also in the validation or test set;
            the evaluated sets stay as they are).

    Raises:
        DataError: no such step.
    """
    ids, split = index["id"].to_numpy(), index["split"].to_numpy()
    if step == "blank":
        return dict.fromkeys(np.flatnonzero(blank(images)).tolist(), "blank: one grey all over")
    if step == "contradicting":
        table = contradicting(index, found.of_kind("identical"))
        said = table.groupby("group")["label"].agg(lambda labels: ", ".join(sorted(set(labels))))
        return {
            row: f"identical images are labelled {said[group]}"
            for group, row in zip(table["group"], table["row"], strict=True)
        }
    group = found.group
    members = pd.DataFrame({"row": np.arange(len(group)), "group": group, "split": split})[group >= 0]
    if step == "duplicates":
        first = members.groupby(["group", "split"])["row"].transform("min")
        again = members["row"] != first
        return {
            row: f"the same image as {ids[of]}" for row, of in zip(members["row"][again], first[again], strict=True)
        }
    if step == "leaks":
        evaluated = members[members["split"] != "train"].drop_duplicates("group").set_index("group")["row"]
        leaked = members[(members["split"] == "train") & members["group"].isin(evaluated.index)]
        return {
            row: f"also in the {split_title(str(split[evaluated[group]]))}, as {ids[evaluated[group]]}"
            for row, group in zip(leaked["row"], leaked["group"], strict=True)
        }
    raise DataError(f"There is no step of cleaning called “{step}”; known: {', '.join(STEPS)}.")


def read_corrections(path: Path) -> pd.DataFrame:
    """A csv of corrected or pseudo labels: `id` and `label`, `split` where ids repeat between splits, and `hash` where known.

    A label is an expression by any of its names, or “unclear”, which drops the image.

    Raises:
        DataError: the file is damaged, a column is missing, a label is no expression, an id occurs twice.
    """
    try:
        table = pd.read_csv(path, dtype="str", keep_default_na=False)
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the corrections cannot be read ({error}).") from error
    if missing := [name for name in ("id", "label") if name not in table.columns]:
        raise DataError(
            f"{path}: the column {', '.join(missing)} is missing; expected id and label, and split if needed."
        )
    names = [UNCLEAR if word.strip().lower() == UNCLEAR else canonical(word) for word in table["label"]]
    for row, name in enumerate(names):
        if name is None:
            word = table["label"].iloc[row]
            hint = f" (did you mean “{meant}”?)" if (meant := suggestion(word)) else ""
            raise DataError(f"{path}, line {row + 2}: “{word}” is no expression{hint}; name one, or “{UNCLEAR}”.")
    key = [name for name in ("split", "id", HASH) if name in table.columns]
    if (twice := table.duplicated(key)).any():
        raise DataError(f"{path}, line {int(np.flatnonzero(twice)[0]) + 2}: {table['id'][twice].iloc[0]} occurs twice.")
    return table[key].assign(label=np.array(names, dtype=object))


def relabel(index: pd.DataFrame, corrections: pd.DataFrame) -> pd.DataFrame:
    """An index with corrected labels; `label_given` keeps what the set says, “unclear” stays for the caller to drop.

    Raises:
        DataError: a correction is of an image that the set does not hold; the message counts and names them.
    """
    asked = corrections.drop(columns="label")
    if HASH in asked.columns and (asked[HASH] == "").all():  # kept before there were hashes
        asked = asked.drop(columns=HASH)
    if HASH not in asked.columns:
        key = pd.MultiIndex.from_frame(asked)
        row = key.get_indexer(pd.MultiIndex.from_frame(index[list(asked.columns)]))  # an id may occur in two splits
        corrected, strange = np.flatnonzero(row >= 0), ~key.isin(pd.MultiIndex.from_frame(index[list(asked.columns)]))
        source = row[corrected]
    else:
        corrected = same_images(asked, index)
        strange = corrected < 0
        source, corrected = np.flatnonzero(~strange), corrected[~strange]
    if strange.any():
        example = " ".join(asked[[name for name in ("split", "id") if name in asked.columns]][strange].iloc[0])
        raise DataError(
            f"{int(strange.sum()):,} of {len(asked):,} corrections name images that are not in the set, the first: "
            f"{example}; are they of another set?"
        )
    given = index["label_given"] if "label_given" in index.columns else index["label"]
    labels = index["label"].to_numpy(dtype=object, copy=True)
    labels[corrected] = corrections["label"].to_numpy(dtype=object)[source]
    return index.assign(label=labels, label_given=given)


def audit(dataset: Dataset) -> pd.DataFrame:
    """All changes to a set: `id`, `source`, `change` (relabelled or left out), `before`, `after`, `why` and `n`, how
    many images a row is about."""
    index = dataset.index
    columns = ["id", "source", "change", "before", "after", "why", "n"]
    rows: list[tuple[str | int, ...]] = []
    if "label_given" in index.columns:
        changed = index[index["label_given"] != index["label"]]
        source = changed["source"] if "source" in changed.columns else [dataset.name] * len(changed)
        for image, place, before, after in zip(
            changed["id"], source, changed["label_given"], changed["label"], strict=True
        ):
            rows.append((image, place, "relabelled", before, after, "corrections", 1))
    rows += [_left_out(bad, dataset.name) for bad in dataset.skipped]
    return pd.DataFrame(rows, columns=columns)


def _left_out(bad: Skipped, name: str) -> tuple[str | int, ...]:
    return bad.id, name, "left out", "", "", bad.reason, bad.n
