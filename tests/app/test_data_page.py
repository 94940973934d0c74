"""The Data page's views, run without a browser."""

import re
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from fer_core.datasets import open_dataset
from fer_core.datasets.faceless import faceless_of
from fer_core.datasets.known import add, known
from fer_core.datasets.summary import differences, disagreements, mean_faces, most_alike
from fer_core.experiments import jobs
from fer_core.recipe import Augment
from fer_core.runs.store import find
from fer_core.training.preview import augmented
from tests.app.conftest import texts
from tests.app.examples import make_network, make_pictures
from tests.untrained import untrained

OpenPage = Callable[..., AppTest]


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Small images of seven expressions; two of train are in val too, one of them under another label."""
    place = make_pictures(tmp_path / "faces", each=2)
    for old, new in (("train/happy/00.png", "val/happy/09.png"), ("train/sad/00.png", "val/fear/09.png")):
        (place / new).write_bytes((place / old).read_bytes())
    add(place)
    return place


def pictures_of(app: AppTest) -> list[str]:
    """The texts of all images that are shown."""
    return [alt for element in app.get("html") for alt in re.findall(r'alt="([^"]*)"', element.proto.body)]


@pytest.mark.parametrize("view", ["samples", "means", "light", "twins", "faceless", "votes", "augment", "prepare"])
def test_every_view_opens_from_its_address(open_page: OpenPage, faces: Path, view: str) -> None:
    app = open_page("data", data="faces", view=view)
    assert not app.exception
    assert not app.error
    assert app.query_params["view"] == view
    assert "contains **44 images** of 7 expressions" in texts(app)


def test_an_unknown_view_shows_the_samples(open_page: OpenPage, faces: Path) -> None:
    app = open_page("data", data="faces", view="gone")
    assert not app.exception
    assert app.query_params["view"] == "samples"


def test_leaks_stand_side_by_side_with_their_twins(open_page: OpenPage, faces: Path) -> None:
    app = open_page("data", data="faces", view="twins")
    assert "**2 groups** of identical images, 1 of them with different labels" in texts(app)
    assert "**2 of 16 images** of the validation set" in texts(app)
    assert sorted(pictures_of(app)) == [
        "fear, val val/fear/09.png beside sad, train train/sad/00.png: identical, 1.000",
        "happy, val val/happy/09.png beside happy, train train/happy/00.png: identical, 1.000",
    ]
    contested = open_page("data", data="faces", view="twins", pairs="contradicting")
    assert len(pictures_of(contested)) == 1


def test_without_votes_the_page_says_where_they_come_from(open_page: OpenPage, faces: Path) -> None:
    assert "There are no votes for these images" in open_page("data", data="faces", view="votes").info[0].value


def test_pictures_without_a_face_are_looked_for_on_demand(open_page: OpenPage, faces: Path) -> None:
    app = open_page("data", data="faces", view="faceless")
    assert "a face detector (MTCNN) has to check all 44 images" in app.info[0].value
    next(button for button in app.button if button.label == "Find images without a face").click().run()
    assert not app.exception
    found = faceless_of(open_dataset("faces"))
    assert f"**{len(found)} of 44 images**" in texts(app)
    assert len(pictures_of(app)) == min(24, len(found))


def test_the_preview_shows_the_recipes_own_settings(open_page: OpenPage, faces: Path) -> None:
    app = open_page("data", data="faces", view="augment", recipe="mini-xception")
    assert "rotation 10" in texts(app)
    assert sum("original" in alt for alt in pictures_of(app)) == 5
    assert sum("version 7" in alt for alt in pictures_of(app)) == 5


def test_preparation_is_shown_before_and_after(open_page: OpenPage, faces: Path) -> None:
    app = open_page("data", data="faces", view="prepare")
    shown = pictures_of(app)
    assert sum(alt.endswith("original") for alt in shown) == 5
    assert sum(alt.endswith("isotropic diffusion") for alt in shown) == 5


def zipped(folder: Path) -> tuple[str, bytes, str]:
    """A folder as the uploader of a page is given it."""
    content = BytesIO()
    with ZipFile(content, "w") as made:
        for path in sorted(folder.rglob("*.png")):
            made.write(path, path.relative_to(folder.parent))
    return "sent faces.zip", content.getvalue(), "application/zip"


def test_a_zip_is_sent_and_the_next_step_is_offered(open_page: OpenPage, tmp_path: Path) -> None:
    untrained("judged", title="Judged", tta="none")
    app = open_page("data", data="heads", view="means")
    field = next(one for one in app.file_uploader if "zip" in one.label)
    field.set_value(zipped(make_pictures(tmp_path / "sent", each=1)))
    next(button for button in app.button if button.label == "Add").click().run()
    assert not app.exception
    assert app.query_params["data"] == "sent-faces"
    assert "Added “sent\\-faces”: 21 images of 7 expressions." in app.success[0].value
    assert "#samples" in app.success[0].value
    assert app.query_params["view"] == "samples"
    next(button for button in app.button if button.label == "Evaluate Judged on it").click().run()
    assert app.query_params["measure"] == "judged"
    assert next(one for one in app.expander if one.label == "Evaluate a network on this data set").proto.expanded
    assert not any(one.value for one in app.file_uploader)  # the next set is another file


def test_a_file_that_is_no_set_is_told_in_the_page(open_page: OpenPage, workspace: Path) -> None:
    app = open_page("data", data="heads")
    next(one for one in app.file_uploader if "zip" in one.label).set_value(("broken.zip", b"none", "application/zip"))
    add_button = next(button for button in app.button if button.label == "Add")
    add_button.click().run()
    assert app.error[0].value.replace("\\", "").startswith("broken.zip is no readable zip")
    assert not known()
    app.text_input[0].input("/somewhere")
    next(button for button in app.button if button.label == "Add").click().run()
    assert "Choose a file, or enter the path" in app.error[0].value


def test_mean_faces_are_means(tmp_path: Path) -> None:
    for place, levels in {"train/happy": [0, 200], "train/sad": [50, 60, 70]}.items():
        for number, level in enumerate(levels):
            (tmp_path / "set" / place).mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((48, 48), level, np.uint8)).save(tmp_path / "set" / place / f"{number}.png")
    found = mean_faces(open_dataset(tmp_path / "set"), "train")
    assert {name: set(face.ravel()) for name, face in found.items()} == {"happy": {100}, "sad": {60}}
    assert {name: set(face.ravel()) for name, face in differences(found).items()} == {"happy": {20.0}, "sad": {-20.0}}


def test_the_most_alike_mean_faces_share_their_difference_from_the_rest() -> None:
    random = np.random.default_rng(0)
    base, smile = random.integers(80, 120, (2, 48, 48))
    faces = {
        "happy": base + smile // 4,
        "surprise": base + smile // 5,
        "sad": base + random.integers(0, 30, (48, 48)),
        "fear": base + random.integers(0, 30, (48, 48)),
    }
    pair = most_alike({name: face.astype(np.uint8) for name, face in faces.items()})
    assert pair is not None
    assert set(pair[:2]) == {"happy", "surprise"}
    assert most_alike({"happy": base.astype(np.uint8)}) is None


def test_disagreements_follow_the_voters_majority() -> None:
    index = pd.DataFrame({"split": "train", "id": ["a", "b", "c", "d"], "label": ["sad", "sad", "happy", "fear"]})
    choices = ["neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt", "unknown", "no face"]
    counts = [("c", {"happy": 10}), ("a", {"neutral": 7, "sad": 3}), ("b", {"sad": 5, "neutral": 5}), ("d", {})]
    found = dict(counts)
    votes = pd.DataFrame([{**dict.fromkeys(choices, 0), **found[image]} for image in index["id"] if image != "d"])
    votes = votes.reindex(range(len(index)))  # nobody has voted on the last one
    found = disagreements(index, votes)
    assert found[["row", "label", "majority", "for_label", "voters"]].to_numpy().tolist() == [
        [0, "sad", "neutral", 3, 10],
        [1, "sad", "none", 5, 10],
        [2, "happy", "happy", 10, 10],
    ]


@pytest.mark.parametrize("shape", [(3, 48, 48), (3, 48, 48, 3)])
def test_a_preview_without_augmentation_is_the_picture(shape: tuple[int, ...]) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    made = augmented(pictures, Augment(flip=0), 2)
    np.testing.assert_array_equal(made, np.stack([pictures, pictures], axis=1))
    flipped = augmented(pictures, Augment(flip=1), 1)
    np.testing.assert_array_equal(flipped[:, 0], pictures[:, :, ::-1])


def test_a_network_is_evaluated_from_the_page_and_the_result_is_linked(open_page: OpenPage, faces: Path) -> None:
    untrained("judged", title="Judged", tta="none")
    app = open_page("data", data="faces", measure="judged", what="evaluate")
    assert not app.exception
    next(button for button in app.button if button.key == "start-job").click().run()
    assert not app.exception
    job = jobs.jobs()[0]
    end = time.monotonic() + 240
    while job.status().state in ("waiting", "running"):
        assert time.monotonic() < end
        time.sleep(0.1)
    said = texts(app.run()).replace("\\", "")
    assert "**Predictions and all figures**: Judged on faces" in said
    assert ": finished" in said
    assert f"accuracy {find('judged').predictions('faces-val').correct.mean():.2%}" in said


def test_a_network_without_predictions_is_led_to_the_form(open_page: OpenPage) -> None:
    make_network("raw", None, title="Raw network")
    app = open_page("evaluate", network="raw")
    assert not app.exception
    links = [link.proto for link in app.get("page_link")]
    assert [(link.label, "measure=raw" in link.query_string) for link in links] == [
        ("Evaluate it on the Data page", True)
    ]
