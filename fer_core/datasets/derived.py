"""A data set derived from others by a small TOML file: merged, sampled, mapped, cleaned, relabelled or split
differently.

Source: other sets, which stay as they are; each image keeps its own in the column `source`, and its id behind it
(`rafdb/train_00001`). What was left out is listed with the reason, and what was relabelled keeps `label_given`. Protocol
and licence: those of the sets it is made of. Example, the merge of the `lmu` report:

    title = "RAF-DB, FER+ and CK+"
    expressions = "rafdb6"                       # labels outside are left out and counted

    [[part]]
    data = "rafdb"                               # a known name, or a path beside this file
    [[part]]
    data = "ferplus"
    into = {train = "train"}                     # which of its splits becomes which; the others are left aside
    [[part]]
    data = "ckplus"
    into = {test = "train"}
    sample = 1000                                # at most so many, as many of each class as there are
    corrections = "labels.csv"                   # id, label

    [clean]
    steps = ["blank", "contradicting", "leaks"]

    [split]
    how = "carve"                                # or file = "split.csv", by image id
"""

from __future__ import annotations

import re
import tomllib
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import tomli_w
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fer_core.datasets import Dataset, OnBad, Reading, Skipped, cleaning, face_in, open_dataset, reader, splits
from fer_core.datasets.duplicates import Duplicates, find_duplicates
from fer_core.datasets.faceless import by_votes, faceless
from fer_core.datasets.files import several
from fer_core.datasets.known import is_name, resolve
from fer_core.errors import DataError, UnknownName
from fer_core.images import ImageSpec, Preparation, decode, fit
from fer_core.labels import VOCABULARIES, project, vocabulary

SHIPPED = Path(__file__).with_name("shipped")
PARTS = re.compile(r"^\s*(\[\[\s*part\s*\]\]|part\s*=)", re.MULTILINE)
Split = Literal["train", "val", "test"]


class DerivedSection(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(DerivedSection):
    """One of the source sets."""

    data: str = Field(description="A known name, or a path, with @MODE where the layout has modes.")
    into: dict[Split, Split] = Field(
        default_factory=dict, description="Its splits to the new set's; empty: as they are."
    )
    sample: int = Field(0, ge=0, description="Largest number of images, balanced by class; 0 takes all.")
    seed: int = Field(0, ge=0)
    corrections: str = Field("", description="A csv with id and label.")


class Clean(DerivedSection):
    steps: tuple[Literal["blank", "faceless", "contradicting", "duplicates", "leaks"], ...] = ()
    detector: str = Field("mtcnn", description="Asked by “faceless” where an image has no votes.")


class Splitting(DerivedSection):
    """As `splits.split_table`, or a saved split."""

    how: Literal["official", "parts", "kfold", "carve", "female-to-male"] = "official"
    parts: dict[Split, int] | None = None
    k: int = Field(5, ge=2)
    fold: int = Field(0, ge=0)
    seed: int = Field(0, ge=0)
    group: str | None = None
    twins_apart: bool = Field(False, description="Deal out images that occur twice one by one, not as one.")
    file: str = ""


class MadeSet(DerivedSection):
    title: str = ""
    expressions: str = Field("", description="The vocabulary; empty: the smallest that holds all labels.")
    rename: dict[str, str] = Field(
        default_factory=dict, description="What stands for what, before anything is dropped."
    )
    part: tuple[Part, ...] = Field(min_length=1)
    clean: Clean = Clean()
    split: Splitting = Splitting()


def load(path: Path) -> MadeSet:
    """Read and check the file.

    Raises:
        DataError: no valid TOML, an unknown key, or a value out of range; each named.
    """
    try:
        return MadeSet.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no valid TOML ({error}).") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise DataError(f"{path}: {wrong}.") from error


def _place(data: str, beside: Path) -> str:
    """A part's name, or its path relative to the TOML file (not to the working directory)."""
    path, _, mode = data.rpartition("@")
    path, mode = (path, f"@{mode}") if path else (data, "")
    near = beside.resolve().parent / Path(path).expanduser()
    named = is_name(path) or (re.fullmatch(r"[a-z0-9-]+", path) and not Path(path).exists())
    return data if not near.exists() and named else f"{near}{mode}"


def anywhere(path: Path) -> str:
    """The TOML text with absolute paths, so that the file can lie in any folder.

    Raises:
        DataError: as `load`.
    """
    made = load(path)
    content = made.model_dump(exclude_defaults=True, exclude_none=True)
    for part in content["part"]:
        part["data"] = _place(part["data"], path)
        if "corrections" in part:
            part["corrections"] = str(path.resolve().parent / part["corrections"])
    if made.split.file:
        content["split"]["file"] = str(path.resolve().parent / made.split.file)
    return tomli_w.dumps(content)


def _sources(path: Path, above: frozenset[Path] = frozenset()) -> list[Path]:
    """All files that the result depends on; sets made of this one are `above` it."""
    found: list[Path] = []
    if path in above:
        return found
    try:
        made = load(path)
        for part in made.part:
            place, layout = resolve(_place(part.data, path))
            found += [place, *(_sources(place, above | {path}) if layout.name == "made" else layout.beside(place))]
            found += [path.parent / part.corrections] if part.corrections else []
    except (DataError, UnknownName):  # said by `read`, which comes next
        return found
    return [*found, path.parent / made.split.file] if made.split.file else found


def recognises(path: Path) -> bool:
    return (
        path.is_file()
        and path.suffix == ".toml"
        and bool(PARTS.search(path.read_text(encoding="utf-8-sig", errors="replace")))
    )


@reader(
    "made",
    title="set made of others",
    recognises=recognises,
    licence="as the sets it is made of",
    protocol="As the sets it is made of.",
    beside=_sources,
)
def read(path: Path, on_bad: OnBad = "refuse") -> Reading:
    """Open every part and make the set.

    Raises:
        DataError: the file is not valid, a part is not there, or a step finds nothing to work on.
    """
    made = load(path)
    if made.expressions and made.expressions not in VOCABULARIES:
        raise UnknownName("vocabulary", made.expressions, VOCABULARIES)
    if path in _sources(path):
        raise DataError(f"{path} names itself as a part, directly or through another set.")
    merged = len(made.part) > 1
    indices, pixels, skipped, vocabularies, preparations = [], [], [], [], []
    for part in made.part:
        place = _place(part.data, path)
        dataset = open_dataset(place, on_bad=on_bad)
        index, left_out = _take(dataset, part, made, path)
        rows = index.pop("_row").to_numpy()
        if "source" not in index.columns:  # a set made of others knows its images' own
            index.insert(0, "source", dataset.name)
        if merged:
            index["id"] = dataset.name + "/" + index["id"]
        pixels.append(_arrays(dataset, rows))
        indices.append(index)
        vocabularies.append(dataset.expressions)
        preparations.append(dataset.preparation)
        skipped += left_out
    index = pd.concat(indices, ignore_index=True)
    in_file = (index["file"].fillna("") != "").to_numpy() if "file" in index.columns else np.zeros(len(index), bool)
    arrays = _stack([part for part in pixels if part is not None], path)
    dealt = made.split.how != "official" and not made.split.file and not made.split.twins_apart
    images = _small(index, in_file, arrays) if dealt or made.clean.steps else None
    found = find_duplicates(images) if images is not None else None
    if dealt and found is not None:
        group = pd.Series(found.group).astype("Int64")
        index[splits.TWINS] = group.mask(group < 0)
    index = _split(index, made.split, path).drop(
        columns=splits.TWINS, errors="ignore"
    )  # before cleaning, for the leaks
    if outside := int(index["split"].isna().sum()):
        skipped.append(several(outside, "image", f"not in {made.split.file}"))
    reasons = {} if images is None or found is None else _reasons(index, made, in_file, arrays, images, found)
    dropped = [Skipped(str(index["id"].iloc[row]), text) for row, text in sorted(reasons.items())]
    keep = index["split"].notna().to_numpy(copy=True)
    keep[list(reasons)] = False
    index = index[keep].reset_index(drop=True)
    if (twice := index[index.duplicated(["split", "id"])]).size:
        raise DataError(
            f"{path}: {twice['id'].iloc[0]} occurs twice in {twice['split'].iloc[0]}: two parts are one set, or folders of "
            "one name; leave one of them out, or rename its folder."
        )
    if made.expressions:
        expressions = VOCABULARIES[made.expressions]
    else:
        expressions = vocabularies[0] if len(set(vocabularies)) == 1 else vocabulary(index["label"])
    return Reading(
        index, expressions, None if arrays is None else arrays[keep[~in_file]], skipped=(*skipped, *dropped),
        preparation=_common(preparations, path),
    )  # fmt: skip


def _common(preparations: list[Preparation | None], path: Path) -> Preparation | None:
    """The preparation of all parts, None where they differ.

    Raises:
        DataError: they differ in what no network could be served with: some are lit or aligned, others not or otherwise.
    """
    if len(set(preparations)) == 1:
        return preparations[0]
    if len({(p.light, p.align) if p else ((), "none") for p in preparations}) > 1:
        raise DataError(
            f"{path}: its parts were prepared with different light or alignment; prepare all of them with the same settings."
        )
    return None


def _take(dataset: Dataset, part: Part, made: MadeSet, path: Path) -> tuple[pd.DataFrame, list[Skipped]]:
    """A part's rows in the new set's splits and vocabulary, with `_row`, their position in the part."""
    index = dataset.index.assign(_row=np.arange(len(dataset)))
    skipped = list(dataset.skipped)
    if part.corrections:
        index = cleaning.relabel(index, cleaning.read_corrections(path.parent / part.corrections))
        unclear = index["label"] == cleaning.UNCLEAR
        skipped += [Skipped(image, "corrections: unclear") for image in index["id"][unclear]]
        index = index[~unclear]
    if part.into:
        missing = [name for name in part.into if name not in dataset.splits]
        if missing:
            raise DataError(f"{path}: {dataset.title} has no split {missing[0]}; it has {', '.join(dataset.splits)}.")
        index = index[index["split"].isin(list(part.into))]
        index = index.assign(split=index["split"].map({str(old): new for old, new in part.into.items()}))
    if made.expressions:
        names, dropped = project(index["label"], VOCABULARIES[made.expressions], made.rename)
        skipped += [
            several(n, "image", f"{dataset.name}: {name} is not in {made.expressions}") for name, n in dropped.items()
        ]
        index = index.assign(label=np.array(names, dtype=object))
        index = index[index["label"].notna()]
    elif made.rename:
        index = index.assign(label=index["label"].replace(made.rename))
    if part.sample and len(index) > part.sample:
        index = index.iloc[_balanced(index["label"].to_numpy(), part.sample, part.seed)]
    return index, skipped


def _balanced(labels: NDArray[Any], n: int, seed: int) -> NDArray[np.int64]:
    """Positions of n images, as many of each class as there are: scarce classes whole, the rest in equal shares."""
    order = np.random.default_rng(seed).permutation(len(labels))
    turn = (
        pd.Series(labels[order]).groupby(labels[order]).cumcount().to_numpy()
    )  # the first of each class, the second ...
    return np.sort(order[np.argsort(turn, kind="stable")[:n]])


def _arrays(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.uint8] | None:
    """The images of the rows that have no image file."""
    native = dataset.folder / "pixels.npy"
    if not native.exists():
        return None
    number = np.cumsum(~dataset.in_file) - 1
    return np.asarray(np.load(native, mmap_mode="r")[number[rows[~dataset.in_file[rows]]]], dtype=np.uint8)


def _stack(arrays: list[NDArray[np.uint8]], path: Path) -> NDArray[np.uint8] | None:
    if len({part.shape[1:] for part in arrays}) > 1:
        sizes = ", ".join(" x ".join(map(str, part.shape[1:])) for part in arrays)
        raise DataError(
            f"{path}: the parts hold images of different sizes in tables ({sizes}); make them folders first."
        )
    return np.concatenate(arrays) if arrays else None


def _small(index: pd.DataFrame, in_file: NDArray[np.bool_], arrays: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """(n, 48, 48) of all images, for the steps of cleaning that look at them."""
    spec = ImageSpec()
    number = np.cumsum(~in_file) - 1
    return np.stack([fit(_picture(index, in_file, number, arrays, row), spec) for row in range(len(index))])


def _picture(
    index: pd.DataFrame,
    in_file: NDArray[np.bool_],
    number: NDArray[np.int64],
    arrays: NDArray[np.uint8] | None,
    row: int,
) -> NDArray[np.uint8]:
    """A row's image; `number` is its position among those without a file."""
    if in_file[row]:
        picture = decode(Path(str(index["file"].iloc[row])))
        return face_in(picture, index.iloc[row]) if "left" in index.columns else picture
    assert arrays is not None
    return np.asarray(arrays[number[row]], dtype=np.uint8)


def _reasons(
    index: pd.DataFrame,
    made: MadeSet,
    in_file: NDArray[np.bool_],
    arrays: NDArray[np.uint8] | None,
    images: NDArray[np.uint8],
    found: Duplicates,
) -> dict[int, str]:
    """The rows that cleaning drops, each with the first step's reason."""
    reasons: dict[int, str] = {}
    for step in made.clean.steps:
        if step == "faceless":
            number = np.cumsum(~in_file) - 1
            pictures = partial(_picture, index, in_file, number, arrays)
            reasons = faceless(index, by_votes(index), pictures, made.clean.detector) | reasons
        else:
            reasons = cleaning.drop(index, images, found, step) | reasons
    return reasons


def _split(index: pd.DataFrame, how: Splitting, path: Path) -> pd.DataFrame:
    """The index with its new splits; an image that a saved split does not hold gets none."""
    if how.file:
        return splits.apply(index, splits.load(path.parent / how.file))
    if how.how == "official":
        return index
    parts = {str(name): n for name, n in how.parts.items()} if how.parts else None
    table = splits.split_table(index, how.how, parts=parts, k=how.k, fold=how.fold, seed=how.seed, group=how.group)
    return index.assign(split=table["split"])
