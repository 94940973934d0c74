"""A private set beside its benchmark: the same images give the same figures and no shift; what was done to them is found."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage.data import astronaut

from fer_core.datasets import open_dataset
from fer_core.datasets.class_folders import members, proposed, word, words
from fer_core.datasets.known import known
from fer_core.errors import DataError
from fer_core.evaluation.predict import predict_split
from fer_core.experiments.private_faces import gather, keep
from fer_core.experiments.private_set import AS_CHOSEN, PrivateSetReport, compare, reference
from fer_core.images.quality import sharpness
from fer_core.labels import FER7
from fer_core.models.logits import penultimate
from fer_core.reports.private_set_report import details
from fer_core.serving.predictor import Predictor
from tests.faces import face as head
from tests.untrained import untrained

EACH = 8


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    """A folder set of rendered heads, a network, and its predictions on it, as `ferscope evaluate` makes them."""
    root = tmp_path_factory.mktemp("benchmark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERSCOPE_HOME", str(root / "home"))
        for number, label in enumerate(FER7.names):
            for split, start in (("test", 0), ("train", 1000)):
                folder = root / "set" / split / label
                folder.mkdir(parents=True)
                for i in range(EACH):
                    face = head(label, start + 100 * number + i)
                    Image.fromarray(face).save(folder / f"{i:02d}.png")
        member = Predictor(untrained(arguments={"widths": [4, 8, 8, 16]})).members[0]
        dataset = open_dataset(root / "set")
        table = predict_split(member.model, dataset, "test", spec=member.card.image, expressions=member.card.vocabulary)
        return root / "set" / "test", member, table, reference(dataset, "test", member.card.image)


def zipped(
    folder: Path, target: Path, change: Callable = lambda p: p, keep_one_in: dict[str, int] | None = None
) -> Path:
    """The folder as a zip, its images changed; of some expressions only one image in several."""
    with zipfile.ZipFile(target, "w") as archive:
        for number, file in enumerate(sorted(folder.rglob("*.png"))):
            if number % (keep_one_in or {}).get(file.parent.name, 1):
                continue
            buffer = io.BytesIO()
            Image.fromarray(change(np.asarray(Image.open(file)))).save(buffer, "PNG")
            archive.writestr(f"mine/{file.parent.name}/{file.name}", buffer.getvalue())
    return target


def compared(benchmark, path: Path, known_pictures: bool = True) -> PrivateSetReport:
    _, member, table, known_reference = benchmark
    found = None
    for step in gather(members(path), proposed(words(path)), [member], "none"):
        found = step
    (gathered,) = found
    *said, report = compare(member, gathered, table, "drawn, test", known_reference if known_pictures else None)
    assert all(isinstance(one, str) for one in said)
    return report


def test_the_benchmarks_own_pictures_give_its_accuracy_and_no_shift(benchmark, tmp_path):
    report = compared(benchmark, zipped(benchmark[0], tmp_path / "same.zip"))
    _, _, table, _ = benchmark
    assert report.private.correct.mean() == table.correct.mean()
    assert (report.confusion[0] == report.confusion[1]).all()
    assert report.per_expression["difference"].abs().max() == 0
    assert report.shifted == []
    assert report.gap.total == 0
    assert report.distance.p > 0.5


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda p: (p * 0.6).astype(np.uint8), "brightness"),
        (lambda p: np.asarray(Image.fromarray(p).resize((16, 16)).resize((48, 48))), "sharpness"),
        (lambda p: np.asarray(Image.fromarray(p).resize((96, 96))), "face size"),
    ],
    ids=["darkened", "blurred", "enlarged"],
)
def test_a_change_of_all_pictures_is_found(benchmark, tmp_path, change, found):
    report = compared(benchmark, zipped(benchmark[0], tmp_path / "changed.zip", change))
    assert found in report.shifted
    assert "class balance" not in report.shifted


def test_another_class_balance_is_found_and_is_all_of_the_gap(benchmark, tmp_path):
    few = dict.fromkeys(FER7.names[:4], EACH)
    archive = zipped(benchmark[0], tmp_path / "few.zip", keep_one_in=few)
    assert compared(benchmark, archive, known_pictures=False).shifted == ["class balance"]
    report = compared(benchmark, archive)
    told = report.shifts.set_index("what")  # of these few images, one of six tests
    assert told["p"].idxmin() == "class balance"
    assert told.loc["class balance", "p_adjusted"] > told.loc["class balance", "p"]
    assert not {"brightness", "contrast", "sharpness"} & set(report.shifted)
    recall = report.per_expression.set_index("expression")["difference"]
    assert report.gap.prior + report.gap.rest == pytest.approx(recall["all"])


def test_matching_the_light_again_undoes_a_dark_set(benchmark, tmp_path):
    report = compared(benchmark, zipped(benchmark[0], tmp_path / "dark.zip", lambda p: (p * 0.4).astype(np.uint8)))
    changes = report.variants.set_index("change")
    assert changes.loc[AS_CHOSEN, "accuracy"] == pytest.approx(report.private.correct.mean())
    assert {"crop: face found by MTCNN", "light: brightness and contrast as the benchmark's"} <= set(changes.index)
    assert (changes["n"] == 7 * EACH).all()


def test_framing_is_named_where_another_crop_is_more_often_right(benchmark, tmp_path):
    report = compared(benchmark, zipped(benchmark[0], tmp_path / "same.zip"), known_pictures=False)
    # Holm over three crops: 0.01 x 3 = 0.03, then 0.03 x 2 = 0.06; the third is worse, the light is no crop.
    changes = [
        ("as chosen", 0.5, 0.0, np.nan, 80),
        ("crop: wider by 20 %", 0.6, 0.1, 0.01, 80),
        ("crop: softened", 0.58, 0.08, 0.03, 80),
        ("crop: closer by 20 %", 0.4, -0.1, 0.04, 80),
        ("light: brightness", 0.9, 0.4, 0.0001, 80),
    ]
    changed = replace(report, variants=pd.DataFrame(changes, columns=report.variants.columns))
    assert changed.framing["change"].tolist() == ["crop: wider by 20 %"]
    assert changed.framing["p_adjusted"].tolist() == pytest.approx([0.03])
    said = "with another crop (wider by 20 %) the accuracy is 10.0 points higher"
    assert said in str(details(changed))
    assert "Framing is a cause" not in str(details(report))


def test_photos_are_cut_again_wider_closer_and_softer(tmp_path, benchmark):
    _, member, _, _ = benchmark
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        buffer = io.BytesIO()
        Image.fromarray(astronaut()).save(buffer, "PNG")
        archive.writestr("happy/portrait.png", buffer.getvalue())
    place = tmp_path / "set.zip"
    *_, (gathered,) = gather(members(place), proposed(words(place)), [member], "mtcnn")
    assert set(gathered.variants) == {
        "crop: wider by 20 %", "crop: closer by 20 %", "crop: softened", "crop: the whole image",
    }  # fmt: skip
    (softer,), (plain,) = gathered.variants["crop: softened"], gathered.pictures
    assert sharpness(softer) < sharpness(plain)


def test_errors_come_with_their_nearest_training_faces(benchmark, tmp_path):
    folder, member, _, known_reference = benchmark
    report = compared(benchmark, zipped(folder, tmp_path / "same.zip"))
    assert report.errors
    spec = member.card.image
    training = penultimate(member.model, known_reference.training, spec)
    for error in report.errors:
        assert error.label != error.predicted
        own = penultimate(member.model, error.picture[None], spec)
        best = known_reference.training[np.linalg.norm(training - own, axis=1).argmin()]
        assert (error.nearest[0][1] == best).all()


def test_without_the_benchmarks_pictures_accuracy_and_balance_are_still_compared(benchmark, tmp_path):
    report = compared(benchmark, zipped(benchmark[0], tmp_path / "same.zip"), known_pictures=False)
    assert report.differences is None
    assert report.errors == ()
    assert report.shifted == []
    assert report.to_json()["n"] == 7 * EACH


def test_features_are_what_the_last_layer_is_given(benchmark):
    import torch

    _, member, _, known_reference = benchmark
    features = penultimate(member.model, known_reference.pictures[:5], member.card.image)
    last = [layer for layer in member.model.modules() if isinstance(layer, torch.nn.Linear)][-1]
    with torch.no_grad():
        logits = last(torch.from_numpy(features)).numpy()
    assert logits.argmax(axis=1).tolist() == member.probs(known_reference.pictures[:5]).argmax(axis=1).tolist()
    assert not any(layer._forward_pre_hooks for layer in member.model.modules())


def test_class_folders_are_proposed_and_unclear_ones_are_asked_for():
    assert proposed(["Happiness", "suprise", "wu\u0308tend", "grimmig"]) == {
        "Happiness": "happy",
        "suprise": "surprise",
        "wu\u0308tend": "angry",
        "grimmig": None,
    }
    assert word("set/angry/person-1/a.png") == "angry"
    assert word("set/wütend/person 7/a.png") == "wütend"
    assert word("set/grimmig/a.png") == "grimmig"
    assert word("a.png") == ""


def test_photos_without_a_face_and_folders_left_out_are_counted_apart(benchmark, tmp_path):
    _, member, _, _ = benchmark
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        buffer = io.BytesIO()
        Image.new("L", (120, 120), 90).save(buffer, "PNG")
        archive.writestr("happy/empty.png", buffer.getvalue())
        archive.writestr("happy/broken.png", b"x")
        archive.writestr("other/empty.png", buffer.getvalue())
    place = tmp_path / "set.zip"
    assert words(place) == {"happy": 2, "other": 1}
    with pytest.raises(DataError, match="No face is left.*no face was found"):
        list(gather(members(place), {"happy": "happy", "other": None}, [member], "mtcnn"))
    (gathered,) = list(gather(members(place), {"happy": "happy", "other": "sad"}, [member], "none"))[-1]
    assert gathered.faces["label"].tolist() == ["happy", "sad"]
    (broken,) = gathered.skipped
    assert broken.id == "happy/broken.png"
    assert broken.reason.startswith("this is no image")


def test_a_set_is_kept_only_when_asked_under_names_of_our_own(benchmark, tmp_path, workspace):
    path = zipped(benchmark[0], tmp_path / "mine.zip")
    assert not (workspace / "private").exists()
    assert keep(members(path), proposed(words(path)), "my-set") == 7 * EACH
    assert "my-set" in known()
    dataset = open_dataset("my-set")
    assert dataset.index["label"].value_counts().to_dict() == dict.fromkeys(FER7.names, EACH)
    for wrong in ("my-set", "../out", "", "Big"):
        with pytest.raises(DataError, match="cannot name"):
            keep(members(path), proposed(words(path)), wrong)
    with pytest.raises(DataError, match="nothing to keep"):
        keep(members(path), {}, "empty")
    assert sorted(entry.name for entry in (workspace / "private").iterdir()) == ["my-set"]


def test_of_a_folder_only_the_persons_own_pictures_count_and_one_that_is_gone_is_named(tmp_path):
    for name in ("happy/1.png", "sad/2.png", "__MACOSX/happy/._1.png", "happy/.ipynb_checkpoints/1.png", "sad/._2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert words(tmp_path) == {"happy": 1, "sad": 1}
    found = members(tmp_path)
    assert next(found).data == b"x"
    (tmp_path / "sad" / "2.png").unlink()
    assert "cannot be read" in next(found).reason


def test_a_folder_is_read_like_a_zip_and_links_out_of_it_are_not_followed(benchmark, tmp_path):
    folder = benchmark[0]
    assert sum(words(folder).values()) == 7 * EACH
    (tmp_path / "set" / "happy").mkdir(parents=True)
    (tmp_path / "set" / "happy" / "link.png").symlink_to(next(folder.rglob("*.png")))
    (member,) = members(tmp_path / "set")
    assert "link" in member.reason
    with pytest.raises(DataError, match="does not exist"):
        list(members(tmp_path / "nowhere"))
