"""An image is its content: no row number and no name of a set makes one image out of two."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from fer_core.datasets import identity, name_of, open_dataset, relabelling, splits, votes
from fer_core.datasets.cleaning import relabel
from fer_core.datasets.faceless import by_votes
from fer_core.datasets.identity import HASH, fingerprint, image_hash, same_images

Rows = list[tuple[object, object, str]]
HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
USAGES = ["Training"] * 12 + ["PublicTest"] * 4 + ["PrivateTest"] * 4
LABELS = dict(enumerate(("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")))


@pytest.fixture
def rows(pictures: NDArray[np.uint8]) -> Rows:
    """Twenty images of which the fifth and the ninth, both of Training, have the same pixels."""
    pictures[8] = pictures[4]
    return [(i % 7, picture, usage) for i, (picture, usage) in enumerate(zip(pictures, USAGES, strict=True))]


@pytest.fixture
def little_fer2013(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: Rows, csv_of: Callable[..., str]
) -> Iterator[Path]:
    """A csv of twenty images of which the first two parts are known to the program, as FER2013's are; and its folder."""
    index = pd.DataFrame(
        {
            "split": [{"Training": "train", "PublicTest": "val", "PrivateTest": "test"}[usage] for _, _, usage in rows],
            "id": [f"{i:05d}" for i in range(len(rows))],
            "label": [LABELS[int(str(emotion))] for emotion, _, _ in rows],
            HASH: [image_hash(np.asarray(picture, np.uint8)) for _, picture, _ in rows],
        }
    )
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    known = index[index["split"] != "test"]
    counts = index["split"].value_counts().to_dict()
    (shipped / "known-sets.json").write_text(
        json.dumps({"fer2013": {"counts": counts, "fingerprints": identity.fingerprints(known)}})
    )
    ballots = {name: np.arange(20, dtype=np.uint8) * 10 + place for place, name in enumerate(votes.CHOICES)}
    index.assign(hash=index[HASH].where(index["split"] != "test", ""), **ballots).drop(columns="label").to_parquet(
        shipped / "ferplus-votes.parquet"
    )
    monkeypatch.setattr(identity, "SHIPPED", shipped)
    monkeypatch.setattr(votes, "SHIPPED_VOTES", shipped / "ferplus-votes.parquet")
    caches = (identity.known_sets, identity.fer2013_rows, votes.shipped_votes)
    for cached in caches:
        cached.cache_clear()
    place = tmp_path / "original" / "fer2013.csv"
    place.parent.mkdir()
    place.write_text(csv_of(rows))
    yield place
    for cached in caches:
        cached.cache_clear()


def written(folder: Path, text: str, name: str = "fer2013.csv") -> Path:
    folder.mkdir()
    (folder / name).write_text(text)
    return folder / name


def test_equal_pixels_have_one_hash_whatever_the_file(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
    for form, image in (("grey", grey), ("colour", np.stack([grey] * 3, axis=-1))):
        for split in ("train", "val"):
            folder = tmp_path / form / split / "happy"
            folder.mkdir(parents=True)
            Image.fromarray(image).save(folder / f"{form}.png")
    hashes = {*open_dataset(tmp_path / "grey").index[HASH], *open_dataset(tmp_path / "colour").index[HASH]}
    assert hashes == {image_hash(grey)}
    assert image_hash(grey) != image_hash(grey.reshape(30, 20))  # the same numbers in another shape
    assert image_hash(grey) != image_hash(grey ^ 1)


@given(st.permutations(list(range(12))))
def test_a_fingerprint_knows_no_order(order: list[int]) -> None:
    hashes, labels = [f"{i:024x}" for i in range(12)], [f"label {i % 3}" for i in range(12)]
    moved = [hashes[i] for i in order], [labels[i] for i in order]
    assert fingerprint(*moved) == fingerprint(hashes, labels)
    assert fingerprint(hashes[1:], labels[1:]) != fingerprint(hashes, labels)
    assert fingerprint(hashes, ["other", *labels[1:]]) != fingerprint(hashes, labels)
    assert fingerprint([hashes[0], *hashes], [labels[0], *labels]) != fingerprint(hashes, labels)  # a row twice


def test_only_fer2013_is_called_fer2013(
    little_fer2013: Path, tmp_path: Path, rows: Rows, csv_of: Callable[..., str]
) -> None:
    dataset = open_dataset(little_fer2013)
    assert dataset.name == name_of(little_fer2013) == "fer2013"
    shuffled = [rows[i] for i in np.random.default_rng(1).permutation(16)]
    assert open_dataset(written(tmp_path / "shuffled", csv_of(shuffled))).name == "fer2013"  # the same images
    val = written(tmp_path / "val", csv_of(rows[12:16]))
    assert open_dataset(val).name == "fer2013"  # all of one part
    fewer = open_dataset(written(tmp_path / "fewer", csv_of(rows[1:])))
    assert fewer.name == f"fer2013-{fewer.fingerprint[:6]}"
    assert open_dataset(written(tmp_path / "mine", csv_of(rows[:5]), "mine.csv")).name == "mine"
    relabelled = [(6, picture, usage) for _, picture, usage in rows]
    assert open_dataset(written(tmp_path / "relabelled", csv_of(relabelled))).name.startswith("fer2013-")
    # PrivateTest is not known to the program, so that its rows are trusted in their original order alone
    private = [*rows[16:], *shuffled]
    assert open_dataset(written(tmp_path / "private", csv_of(private))).name.startswith("fer2013-")
    assert open_dataset(written(tmp_path / "only-test", csv_of(rows[16:]))).name.startswith("fer2013-")


@pytest.mark.parametrize("change", ["reversed", "without four rows", "with another column"])
def test_images_are_found_whatever_happened_to_the_rows(
    change: str, tmp_path: Path, rows: Rows, csv_of: Callable[..., str], pictures: NDArray[np.uint8]
) -> None:
    here = open_dataset(written(tmp_path / "here", csv_of(rows)))
    gone: list[int] = []
    lines = csv_of(rows).splitlines()
    if change == "reversed":
        text = "\n".join([lines[0], *lines[:0:-1]])
    elif change == "without four rows":
        gone = [0, 5, 13, 19]
        text = "\n".join(line for i, line in enumerate(lines) if i - 1 not in gone)
    else:
        text = "\n".join(f"{i},{line}" if i else f"number,{line}" for i, line in enumerate(lines))
    there = open_dataset(written(tmp_path / "there", text + "\n"))
    place = same_images(here.index, there.index)
    assert np.flatnonzero(place < 0).tolist() == gone
    for row in np.flatnonzero(place >= 0):
        np.testing.assert_array_equal(there.picture(int(place[row])), pictures[row])
        assert there.index["label"].iloc[place[row]] == here.index["label"].iloc[row]  # of the two equal ones too


def test_numbers_alone_join_nothing_where_the_labels_contradict(
    tmp_path: Path, rows: Rows, csv_of: Callable[..., str]
) -> None:
    twice = [*rows, *((emotion, 255 - np.asarray(picture), usage) for emotion, picture, usage in rows)]
    dataset = open_dataset(written(tmp_path / "set", csv_of(twice)))
    old = dataset.index[["id", "split", "label"]]
    assert (same_images(old, dataset.index) == np.arange(40)).all()
    shifted = open_dataset(written(tmp_path / "shifted", csv_of(twice[1:])))
    assert (same_images(old, shifted.index) == -1).all()  # an older table of rows that have moved by one
    corrected = old.assign(label=["happy" if i in (1, 2) else label for i, label in enumerate(old["label"])])
    assert (same_images(corrected, dataset.index) == np.arange(40)).all()  # two corrected labels are no other set


def test_votes_are_those_of_the_image(
    little_fer2013: Path, tmp_path: Path, rows: Rows, csv_of: Callable[..., str]
) -> None:
    original = open_dataset(little_fer2013)
    assert votes.rows_of_votes(original.index, original.name).tolist() == list(range(20))  # with PrivateTest, by row
    order = np.random.default_rng(2).permutation(20)
    moved = open_dataset(written(tmp_path / "moved", csv_of([rows[i] for i in order])))
    found = votes.rows_of_votes(moved.index, moved.name)
    known = order < 16
    assert (found[~known] == -1).all()  # PrivateTest without its order: no votes, rather than somebody else's
    twins = {4, 8}
    assert all(a == b or {a, b} == twins for a, b in zip(found[known], order[known], strict=True))
    assert sorted(found[known]) == list(range(16))  # each of two equal images has its own
    assert votes.have_votes(moved.index, moved.name)
    said = by_votes(moved.index, moved.name)
    assert said.notna().to_numpy().tolist() == known.tolist()


def test_ferplus_reads_a_csv_in_another_order_and_counts_what_is_not_known(
    little_fer2013: Path, rows: Rows, csv_of: Callable[..., str], pictures: NDArray[np.uint8]
) -> None:
    ballots = ["0,9,0,0,1,0,0,0,0,0", "9,0,0,1,0,0,0,0,0,0", "0,0,0,9,1,0,0,0,0,0"]  # happy, neutral, sad
    lines = [f"{usage},x.png,{ballots[i % 3]}" for i, (_, _, usage) in enumerate(rows)]
    file = little_fer2013.with_name("fer2013new.csv")
    file.write_text("\n".join([HEADER, *lines]) + "\n")
    expected = [("happy", "neutral", "sad")[i % 3] for i in range(20)]
    assert open_dataset(file).index["label"].tolist() == expected
    order = [*range(15, 8, -1), 19, *range(7)]
    little_fer2013.write_text(csv_of([rows[i] for i in order]))
    dataset = open_dataset(file)
    kept = [i for i in order if i != 19]
    assert dataset.index["label"].tolist() == [expected[i] for i in kept]
    assert [bad.id for bad in dataset.skipped if "known images" in bad.reason] == ["1 image"]
    np.testing.assert_array_equal(dataset.picture(0), pictures[15])


def test_a_saved_split_holds_for_a_csv_in_another_order(tmp_path: Path, rows: Rows, csv_of: Callable[..., str]) -> None:
    dataset = open_dataset(written(tmp_path / "set", csv_of(rows)))
    table = splits.split_table(dataset.index, "parts", parts={"train": 2, "test": 2}, seed=3)
    splits.save(table, tmp_path / "split.csv")
    moved = open_dataset(written(tmp_path / "moved", csv_of(rows[::-1])))
    again = splits.apply(moved.index, splits.load(tmp_path / "split.csv"))
    # which of two images with the same pixels is meant makes no difference
    assert Counter(zip(again[HASH], again["split"], strict=True)) == Counter(
        zip(table[HASH], table["split"], strict=True)
    )
    old = table.drop(columns=HASH)  # written before there were hashes
    splits.save(old, tmp_path / "old.csv")
    assert splits.apply(dataset.index, splits.load(tmp_path / "old.csv"))["split"].tolist() == table["split"].tolist()


def test_a_corrected_label_stays_with_its_image(tmp_path: Path, rows: Rows, csv_of: Callable[..., str]) -> None:
    dataset = open_dataset(written(tmp_path / "set", csv_of(rows)))
    assert relabelling.correct("set", dataset.index.iloc[[2]], "happy", "test") == 1
    moved = open_dataset(written(tmp_path / "moved", csv_of(rows[::-1])))
    assert relabelling.correct("set", moved.index.iloc[[1]], "neutral", "test") == 1  # another image
    now = relabelling.corrections("set")
    changed = relabel(moved.index, now.drop(columns="given"))
    assert np.flatnonzero(changed["label"] != changed["label_given"]).tolist() == [1, 17]
    assert changed["label"].iloc[[1, 17]].tolist() == ["neutral", "happy"]


def test_corrections_written_before_there_were_hashes_stay(tmp_path: Path, workspace: Path) -> None:
    folder = workspace / "relabelling"
    folder.mkdir(parents=True)
    (folder / "set-audit.csv").write_text(
        "time,split,id,given,before,label,by\n2026-01-01T00:00:00+00:00,train,00001,sad,sad,happy,me\n"
    )
    image = pd.DataFrame({"split": ["train"], "id": ["00001"], "label": ["sad"], HASH: ["ab"]})
    assert relabelling.corrections("set")["label"].tolist() == ["happy"]
    assert relabelling.correct("set", image, "happy", "me") == 0  # it says so already
    assert relabelling.correct("set", image, "angry", "me") == 1
    assert relabelling.corrections("set")[["label", HASH]].to_numpy().tolist() == [["angry", "ab"]]


def test_a_set_read_by_an_older_version_is_read_anew(tmp_path: Path, workspace: Path, learnable: Path) -> None:
    open_dataset(learnable)
    for entry in (workspace / "cache" / "datasets").iterdir():
        shutil.move(entry, entry.with_name("older"))
    assert HASH in open_dataset(learnable).index.columns
