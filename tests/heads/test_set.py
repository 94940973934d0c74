"""The set “heads” and the images that ship."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fer_core.errors import ConfigError, DataError
from fer_core.heads import collection, shipped


def test_the_same_bytes_with_and_without_workers() -> None:
    alone, shared = collection.generate(range(6)), collection.generate(range(6), workers=2)
    assert np.array_equal(alone.images, shared.images)
    assert np.array_equal(alone.masks, shared.masks)
    assert alone.rows == shared.rows


def test_a_person_is_in_one_split_with_all_expressions() -> None:
    splits = Counter(map(collection.split_of, range(collection.PEOPLE)))
    assert splits == {"train": 210, "val": 45, "test": 45}
    done = collection.generate([7])
    assert [row["label"] for row in done.rows] == list(collection.EXPRESSIONS)
    assert {row["person"] for row in done.rows} == {"head-0007"}
    assert done.images.shape == (7, 48, 48)


def test_masks_show_where_the_expression_is() -> None:
    done = collection.generate(range(3))
    share = done.masks.mean((1, 2))
    assert (share > 0.01).all()
    assert (share < 0.7).all()


def test_progress_is_told() -> None:
    seen: list[tuple[int, int]] = []
    collection.generate([0], progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (7, 7)


def test_nobody_and_a_wrong_size_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least one person, found none"):
        collection.generate([])
    with pytest.raises(ConfigError, match="found 4,000"):
        collection.generate([0], size=4000)


def test_the_shipped_images_are_the_sets_own() -> None:
    done = shipped.shipped()
    assert len(done.images) == len(done.rows) == 2100
    assert {row["split"] for row in done.rows} == {"train", "val", "test"}
    again = collection.generate([0])
    # Another processor may round otherwise by a grey level.
    assert np.abs(again.images.astype(int) - done.images[:7]).max() <= 3
    assert again.rows == done.rows[:7]


def test_portraits_ship() -> None:
    images, expressions = shipped.portraits()
    assert images.shape == (12, len(expressions), shipped.SIZE, shipped.SIZE, 3)
    assert shipped.FILE.stat().st_size + shipped.PORTRAITS.stat().st_size < 6_000_000


def test_torn_images_are_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torn = tmp_path / "images.npz"
    torn.write_bytes(shipped.FILE.read_bytes()[:5000])
    monkeypatch.setattr(shipped, "FILE", torn)
    with pytest.raises(DataError, match="images.npz are torn"):
        shipped.shipped()


def test_the_reader_reads_what_ships() -> None:
    from fer_core.datasets import READERS

    layout = READERS.get("heads")
    reading = layout.read(Path("heads"), on_bad="refuse")
    assert len(reading.index) == len(reading.pixels)
    assert {"person", "mouth", "age", "sex", "ancestry", "skin", "yaw", "light", "jawOpen"} <= set(
        reading.index.columns
    )
    assert layout.recognises(Path("heads"))
