"""Images without a face: by a detector, by FER+'s voters, and left out with a line in the audit."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage import data as skimage_data

from fer_core.datasets import cleaning, known, open_dataset
from fer_core.datasets.faceless import by_votes, faceless, faceless_of, shows_face
from fer_core.images import ImageSpec, fit
from tests.trainers.test_data_commands import ferscope

PORTRAIT = skimage_data.astronaut()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A portrait, its face as FER2013 holds one, a cat, and noise."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    crop = fit(PORTRAIT[60:170, 170:280], ImageSpec())
    for name, picture in {"a": PORTRAIT, "b": crop, "cat": skimage_data.cat(), "noise": noise}.items():
        path = tmp_path / "photos" / "happy" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return tmp_path / "photos"


def test_a_detector_names_what_shows_no_face_and_is_asked_once(photos: Path) -> None:
    dataset = open_dataset(photos)
    asked: list[int] = []
    table = faceless_of(dataset, on_done=lambda done, total: asked.append(total))
    assert table["id"].tolist() == ["happy/cat.png", "happy/noise.png"]
    assert set(table["why"]) == {"no face: mtcnn finds none"}
    assert asked == [4] * 4
    pd.testing.assert_frame_equal(faceless_of(dataset, on_done=lambda done, total: asked.append(0)), table)
    assert asked == [4] * 4
    assert shows_face(PORTRAIT, "haar")


def test_voters_are_believed_before_a_detector() -> None:
    index = pd.DataFrame(
        {"id": ["00059", "00000", "fer2013/00059", "x"], "source": ["fer2013"] * 2 + ["ferplus", "mine"]}
    )
    said = by_votes(index)
    assert said.iloc[0] == said.iloc[2]
    assert said.isna().tolist() == [False, False, False, True]
    voted = pd.Series(["no face", "happy", "", None])

    def picture(row: int) -> np.ndarray:
        assert row == 3  # the voters have spoken of the others
        return np.full((60, 60), 128, np.uint8)

    assert faceless(index, voted, picture) == {0: "no face: FER+'s voters", 3: "no face: mtcnn finds none"}


def test_the_step_leaves_them_out_with_a_line_in_the_audit(photos: Path) -> None:
    assert "2 of 4 images show no face" in ferscope("faceless", photos)
    assert [row["id"] for row in json.loads(ferscope("faceless", photos, "--json"))] == [
        "happy/cat.png",
        "happy/noise.png",
    ]
    assert "test 2; 2 left out" in ferscope("clean", photos, "--steps", "faceless", "--name", "faces")
    audit = cleaning.audit(open_dataset("faces"))
    assert audit[["id", "change", "why"]].to_numpy().tolist() == [
        ["happy/cat.png", "left out", "no face: mtcnn finds none"],
        ["happy/noise.png", "left out", "no face: mtcnn finds none"],
    ]
    assert len(open_dataset(photos)) == 4  # the source stays as it is
    assert "faces" in known.known()
