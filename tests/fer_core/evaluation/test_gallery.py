"""The gallery's table: what it says of each image, what a filter keeps, and what is written out."""

import tracemalloc
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.distance import jensenshannon

from fer_core.datasets import Dataset, open_dataset, splits
from fer_core.errors import DataError
from fer_core.evaluation.gallery import Filter, as_split, examples, positions, select, why_not_shared, zipped
from fer_core.evaluation.predictions import Predictions
from fer_core.labels import FER7, FERPLUS8, Expressions
from tests.app.examples import make_pictures, predictions_elsewhere

THREE = Expressions("custom", ("angry", "happy", "sad"))

TAGGED = pd.DataFrame({"dataset": "faces", "split": ["val", "train"], "id": ["003", "000"], "hash": ""})


def table(probs: list[list[float]], labels: list[str], expressions: Expressions = THREE) -> Predictions:
    ids = [f"{i:03d}" for i in range(len(labels))]
    return Predictions.from_logits(ids, "faces", "val", labels, np.log(probs), expressions)


def test_one_picture_worked_by_hand() -> None:
    # label sad with 0.3, the highest other 0.5: margin -0.2, loss -ln 0.3 = 1.2040; another network says sad with 0.8
    frame = examples(
        table([[0.2, 0.5, 0.3]], ["sad"]),
        {"other": table([[0.1, 0.1, 0.8]], ["sad"])},
    )
    row = frame.iloc[0]
    assert (row["label"], row["predicted"], row["correct"]) == ("sad", "happy", False)
    assert row["confidence"] == pytest.approx(0.5, abs=1e-6)
    assert row["margin"] == pytest.approx(-0.2, abs=1e-6)
    assert row["loss"] == pytest.approx(1.2040, abs=1e-4)
    assert (row["networks"], row["wrong"], row["answers"]) == (2, 1, 2)
    # scipy gives the root of the divergence, in bits for base 2; two networks: at most one bit
    assert row["disagreement"] == pytest.approx(jensenshannon([0.2, 0.5, 0.3], [0.1, 0.1, 0.8], 2) ** 2, abs=1e-6)


def test_disagreement_has_its_ends() -> None:
    sure = [[1 - 2e-30, 1e-30, 1e-30]]
    alone = examples(table(sure, ["angry"]))
    assert alone["disagreement"].tolist() == [0.0]
    same = examples(table(sure, ["angry"]), {"twin": table(sure, ["angry"])})
    assert same["disagreement"].to_numpy() == pytest.approx(0.0)
    apart = examples(table(sure, ["angry"]), {"foe": table([sure[0][::-1]], ["angry"])})
    assert apart["disagreement"].to_numpy() == pytest.approx(1.0)


def test_networks_of_other_vocabularies_and_other_pictures_are_matched_by_name() -> None:
    here = table([[0.2, 0.5, 0.3], [0.6, 0.2, 0.2]], ["happy", "sad"])
    eight = np.full((2, 8), 0.01)
    eight[:, FERPLUS8.index("happy")] = 0.93
    there = Predictions.from_logits(["000", "001"], "faces", "val", ["happy", "happy"], np.log(eight), FERPLUS8)
    frame = examples(here, {"eight": there})  # the second image has another label there: not the same case
    assert frame["networks"].tolist() == [2, 1]
    assert frame["answers"].tolist() == [1, 1]
    assert frame["wrong"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        (Filter(), ["000", "001", "002", "003"]),
        (Filter(labels=("sad",)), ["002", "003"]),
        (Filter(predicted=("happy",)), ["001", "002"]),
        (Filter(labels=("sad",), predicted=("happy",)), ["002"]),
        (Filter(confidence=(0.65, 1.0)), ["001", "003"]),
        (Filter(loss=(1.0, np.inf)), ["002"]),
        (Filter(outcome="wrong"), ["002"]),
        (Filter(outcome="right"), ["000", "001", "003"]),
        (Filter(outcome="all wrong"), []),
        (Filter(outcome="only this wrong"), ["002"]),
        (Filter(outcome="disagree"), ["000", "002"]),
        (Filter(text="01"), ["001"]),
        (Filter(text="0.1"), []),  # a text, no pattern
        (Filter(selection=TAGGED), ["003"]),
    ],
)
def test_each_filter_keeps_exactly_its_pictures(wanted: Filter, kept: list[str]) -> None:
    here = table(
        [[0.6, 0.2, 0.2], [0.1, 0.8, 0.1], [0.2, 0.55, 0.25], [0.1, 0.2, 0.7]], ["angry", "happy", "sad", "sad"]
    )
    other = table(
        [[0.2, 0.6, 0.2], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.1, 0.2, 0.7]], ["angry", "happy", "sad", "sad"]
    )
    frame = examples(here, {"other": other})
    assert sorted(select(frame, wanted)["id"]) == kept


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("loss", ["001", "002", "000"]),
        ("margin", ["001", "002", "000"]),
        ("confidence", ["001", "000", "002"]),
        ("doubt", ["002", "000", "001"]),
    ],
)
def test_orders(sort: str, order: list[str]) -> None:
    frame = examples(table([[0.7, 0.2, 0.1], [0.05, 0.9, 0.05], [0.3, 0.4, 0.3]], ["angry", "sad", "sad"]))
    assert select(frame, Filter(), sort)["id"].tolist() == order


def test_an_unknown_order_names_the_known_ones() -> None:
    with pytest.raises(DataError, match="known: loss, margin"):
        select(examples(predictions_elsewhere(7)), Filter(), "beauty")


def test_no_picture_is_no_mistake() -> None:
    empty = predictions_elsewhere(7).where(np.zeros(7, bool))
    assert len(select(examples(empty, {"other": predictions_elsewhere(7)}), Filter(labels=("sad",)))) == 0


@given(st.permutations(range(21)))
def test_the_order_of_rows_changes_nothing_of_a_picture(order: list[int]) -> None:
    tables = {seed: predictions_elsewhere(21, seed=seed) for seed in (0, 1)}
    frame = examples(tables[0], {"other": tables[1]})
    turned = examples(Predictions(tables[0].table.iloc[order]), {"other": tables[1]})
    pd.testing.assert_frame_equal(turned.sort_values("id", ignore_index=True), frame)


@pytest.fixture
def faces(tmp_path: Path) -> Dataset:
    return open_dataset(make_pictures(tmp_path / "faces", each=2))


def test_positions_follow_split_and_id(faces: Dataset) -> None:
    index = faces.index
    asked = index[["split", "id"]].iloc[[30, 2, 17]]
    gone = pd.DataFrame({"split": ["val", "test"], "id": ["nowhere.png", index["id"].iloc[0]]})
    assert positions(faces, pd.concat([asked, gone])).tolist() == [30, 2, 17, -1, -1]


def test_a_zip_of_ones_own_pictures_opens_as_the_same_data_set(faces: Dataset, tmp_path: Path) -> None:
    chosen = faces.index.iloc[[0, 5, 40]]
    with zipfile.ZipFile(BytesIO(zipped(faces, chosen))) as archive:
        archive.extractall(tmp_path / "out")
    again = open_dataset(tmp_path / "out")
    assert sorted(zip(again.index["split"], again.index["label"], strict=True)) == sorted(
        zip(chosen["split"], chosen["label"], strict=True)
    )
    pixels = {again.picture(i).tobytes() for i in range(len(again))}
    assert pixels == {faces.picture(i).tobytes() for i in (0, 5, 40)}


def test_a_split_of_chosen_pictures_is_one_that_the_data_part_reads(faces: Dataset, tmp_path: Path) -> None:
    splits.save(as_split(faces.index.iloc[[0, 5, 40]], "test"), tmp_path / "split.csv")
    applied = splits.apply(faces.index, splits.load(tmp_path / "split.csv"))
    assert applied.index[applied["split"] == "test"].tolist() == [0, 5, 40]
    assert applied["split"].isna().sum() == len(faces) - 3
    with pytest.raises(DataError, match="train, val, test"):
        as_split(faces.index, "exam")


def test_pictures_without_a_licence_are_not_written_out(tmp_path: Path, csv_of, pictures) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "fer2013.csv").write_text(csv_of([(0, pictures[0], "Training")]))
    dataset = open_dataset(tmp_path / "fer2013.csv")
    assert "no licence to pass images on" in why_not_shared(dataset)
    with pytest.raises(DataError, match="not written out"):
        zipped(dataset, dataset.index)


def test_fer2013_in_folders_is_told_by_its_file_names(tmp_path: Path, pictures) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "faces" / "test" / "happy"
    folder.mkdir(parents=True)
    Image.fromarray(pictures[0]).save(folder / "PublicTest_12345678.jpg")
    assert "FER2013's file names" in why_not_shared(open_dataset(tmp_path / "faces"))


def test_a_page_of_a_large_set_leaves_the_rest_on_disk(tmp_path: Path) -> None:
    count = 36_000
    np.lib.format.open_memmap(tmp_path / "pixels.npy", mode="w+", dtype=np.uint8, shape=(count, 48, 48)).flush()
    ids = [f"{i:05d}" for i in range(count)]
    index = pd.DataFrame({"id": ids, "split": "train", "label": "happy"})
    dataset = Dataset("large", "large", index, FER7, (), tmp_path)
    page = index.iloc[35_000:35_024]
    tracemalloc.start()
    shown = [dataset.picture(int(row)) for row in positions(dataset, page)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(shown) == 24
    assert peak < count * 48 * 48 / 4  # the images are 83 MB
