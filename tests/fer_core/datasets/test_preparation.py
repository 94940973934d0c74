"""From photos to faces: evening out light, aligning by the eyes, and working through a set that may be stopped."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from skimage import data as skimage_data
from skimage import exposure

from fer_core.datasets import Dataset, open_dataset, preparation
from fer_core.datasets.preparation import file_names, prepare
from fer_core.errors import DataError
from fer_core.faces import Face, by_eyes, find_faces, illumination
from fer_core.faces.illumination import LIGHT
from fer_core.images import Preparation
from tests.contracts import layouts

PORTRAIT = skimage_data.astronaut()


@pytest.mark.parametrize("step", LIGHT)
@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_picture_of_one_grey_stays_one_grey(step: str, level: int) -> None:
    lit = LIGHT[step](np.full((48, 48), level, np.uint8))
    assert lit.shape == (48, 48)
    assert lit.dtype == np.uint8
    assert lit.min() == lit.max()


@pytest.mark.parametrize("step", LIGHT)
def test_light_from_one_side_is_evened_out(step: str) -> None:
    # the same face under two lights must be more alike afterwards than before; a global curve can do nothing about it
    grey = np.asarray(Image.fromarray(PORTRAIT).convert("L"))[0:192, 130:322].astype(float)
    ramp = np.linspace(0.35, 1.0, 192)
    left, right = ((grey * illumination).astype(np.uint8) for illumination in (ramp, ramp[::-1]))

    def alike(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
        return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])

    before, after = alike(left, right), alike(LIGHT[step](left), LIGHT[step](right))
    if step in ("dog", "dct", "diffusion"):
        assert after > before + 0.05
    else:
        assert after > before - 0.1


def test_equalisation_equals_scikit_images() -> None:
    grey = np.asarray(Image.fromarray(PORTRAIT).convert("L"))
    share = exposure.equalize_hist(
        grey, nbins=256
    )  # of pixels that are as dark or darker; OpenCV begins at the darkest
    theirs = 255 * (share - share.min()) / (1 - share.min())
    assert np.abs(illumination.equalise(grey) - theirs).max() <= 1


def test_gamma_brings_the_mean_to_the_middle() -> None:
    dark = np.random.default_rng(0).integers(20, 80, (40, 40), dtype=np.uint8)
    assert abs(float(illumination.gamma(dark).mean()) - 127.5) < 3


@settings(max_examples=40, deadline=None)
@given(st.floats(-40, 40), st.floats(0.6, 1.6), st.floats(-15, 15), st.integers(32, 128))
def test_eyes_come_to_their_places_whatever_the_pose(angle: float, scale: float, shift: float, side: int) -> None:
    # two bright dots as eyes on black
    turn = scale * np.array(
        [
            [np.cos(np.radians(angle)), -np.sin(np.radians(angle))],
            [np.sin(np.radians(angle)), np.cos(np.radians(angle))],
        ]
    )
    eyes = turn @ np.array([[-40.0, 40.0], [0.0, 0.0]]) + np.array([[150.0 + shift], [150.0]])
    yy, xx = np.mgrid[0:300, 0:300] + 0.5
    picture = np.zeros((300, 300))
    for x, y in eyes.T:
        picture += 255 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * (6 * scale) ** 2))
    points = np.vstack([eyes.T, np.zeros((3, 2))]).astype(np.float32)
    cut = by_eyes(np.clip(picture, 0, 255).astype(np.uint8), Face((0, 0, 10, 10), points=points), side).astype(float)
    yy, xx = np.mgrid[0:side, 0:side] + 0.5
    for half, x in ((xx < side / 2, 0.35), (xx >= side / 2, 0.65)):
        weight = cut * half
        found = (weight * xx).sum() / weight.sum(), (weight * yy).sum() / weight.sum()
        assert found == pytest.approx((x * side, 0.38 * side), abs=0.02 * side)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A portrait for two expressions, one with two faces, one without any, and two files of one name."""
    root = tmp_path / "photos"
    both = np.concatenate([PORTRAIT[:256], PORTRAIT[:256]], axis=1)
    for name, picture in {
        "happy/a.png": PORTRAIT,
        "happy/a.jpg": PORTRAIT[:, ::-1],
        "happy/two.png": both,
        "sad/none.png": np.full((120, 120, 3), 200, np.uint8),
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(picture)).save(root / name)
    return root


def run(dataset: Dataset, target: Path, source: Path, **values: object) -> list[preparation.Done]:
    return list(prepare(dataset, target, Preparation.model_validate(values), source, workers=1))


def test_a_set_is_prepared_beside_its_source_and_reads_as_a_set(photos: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()}
    dataset = open_dataset(photos)
    results = run(dataset, tmp_path / "faces", photos, size=48, grey=True, align="eyes", faces="all", light=["clahe"])
    assert [len(done.files) for done in results] == [1, 1, 2, 0]
    assert results[3].problem == "no face was found"
    faces = open_dataset(tmp_path / "faces")
    assert faces.title == "prepared faces"
    assert sorted(faces.index["id"]) == ["happy/a.jpg", "happy/a.png", "happy/two.png", "happy/two.png#2"]
    assert set(faces.index["split"]) == {"test"}
    assert all(faces.picture(row).shape == (48, 48) for row in range(4))
    eyes = find_faces(np.kron(faces.picture(0), np.ones((4, 4), np.uint8)))[0].points
    assert eyes is not None
    assert eyes[:2].mean(axis=0) / 192 == pytest.approx((0.5, 0.38), abs=0.05)
    assert {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()} == before


def test_a_stopped_preparation_goes_on_where_it_was(photos: Path, tmp_path: Path) -> None:
    dataset, target = open_dataset(photos), tmp_path / "faces"
    work = prepare(dataset, target, Preparation(detector="none"), photos, workers=1)
    first = next(work)
    work.close()
    log = target / "done.csv"
    assert not (target / "prepared.csv").exists()
    log.write_text(log.read_text() + "test/sad/no")  # the power failed in the middle of a line
    kept = target / first.files[0]
    stamp = kept.stat().st_mtime_ns
    assert len(run(dataset, target, photos, detector="none")) == 4
    assert kept.stat().st_mtime_ns == stamp
    index = open_dataset(target).index
    assert sorted(index["id"]) == sorted(dataset.index["id"])
    with pytest.raises(DataError, match="made with other settings"):
        run(dataset, target, photos, detector="none", size=32)


def test_a_picture_for_which_there_was_no_room_is_done_again(photos: Path, tmp_path: Path) -> None:
    dataset, target = open_dataset(photos), tmp_path / "faces"
    run(dataset, target, photos, detector="none")
    face = next(target.rglob("*two.png"))
    face.unlink()
    log = target / "done.csv"
    entry = f"{face.relative_to(target).as_posix()},"
    assert entry in log.read_text()
    log.write_text(log.read_text().replace(entry, ",[Errno 28] No space left on device"))
    assert [done.problem for done in run(dataset, target, photos, detector="none")] == [""] * 4
    assert face.exists()


def test_a_second_face_and_a_picture_that_is_called_like_it_are_two_files(photos: Path, tmp_path: Path) -> None:
    Image.fromarray(PORTRAIT).save(photos / "happy" / "two-face2.png")
    results = run(open_dataset(photos), tmp_path / "faces", photos, faces="all")
    files = [file for done in results for file in done.files]
    assert len(files) == len(set(files)) == 5


def test_it_is_never_written_over_the_source(photos: Path, tmp_path: Path) -> None:
    dataset = open_dataset(photos)
    for target in (photos, photos / "inside", tmp_path):
        with pytest.raises(DataError, match="would overwrite the source"):
            run(dataset, target, photos)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(DataError, match="not empty and no prepared set"):
        run(dataset, tmp_path / "mine", photos)


def test_people_and_splits_stay_with_their_faces(tmp_path: Path) -> None:
    made = layouts.kdef(tmp_path / "kdef")
    run(open_dataset(made.path), tmp_path / "faces", made.path, detector="none", size=32)
    index = open_dataset(tmp_path / "faces").index.set_index("id")
    assert index.loc["BF01AFHL", ["person", "sex", "label"]].tolist() == ["F01", "F", "fear"]


def test_a_person_called_na_stays_a_person(tmp_path: Path) -> None:
    source = tmp_path / "jaffe"
    source.mkdir()
    for number, name in enumerate(("KA.HA1.1", "NA.HA1.2", "NA.SA1.3")):
        Image.fromarray(np.full((20, 20), number, np.uint8)).save(source / f"{name}.tiff")
    run(open_dataset(source), tmp_path / "faces", source, detector="none")
    assert open_dataset(tmp_path / "faces").index["person"].tolist() == ["KA", "NA", "NA"]


def test_names_are_safe_and_unlike() -> None:
    import pandas as pd

    from fer_core.labels import FER7

    ids = ["a b/ü☺.png", "../../etc/passwd.png", "A.png", "a.png", "x" * 400 + ".png"]
    index = pd.DataFrame({"id": ids, "split": "test", "label": "happy"})
    names = file_names(Dataset("a", "a", index, FER7, (), Path()))
    assert len({name.lower() for name in names}) == 5
    assert all(".." not in name and len(name.encode()) < 200 for name in names)
