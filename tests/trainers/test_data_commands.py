"""`ferscope data`, command by command, on small sets."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from fer_core.datasets import known, open_dataset
from fer_core.errors import FerError
from tests.contracts import layouts
from trainers.cli import app


def ferscope(*arguments: object) -> str:
    """What a command prints; an expected error is raised."""
    result = CliRunner().invoke(app, ["data", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


@pytest.fixture
def kdef(tmp_path: Path) -> Path:
    """Fourteen people, half of them women, each with every expression; one image of a man is one of a woman's too."""
    root = tmp_path / "KDEF"
    for person in (f"A{sex}{number:02d}" for sex in "FM" for number in range(1, 8)):
        for word in ("AF", "AN", "DI", "HA", "NE", "SA", "SU"):
            layouts.picture(root / person / f"{person}{word}S.JPG", (48, 48))
    (root / "AM01" / "AM01SAS.JPG").write_bytes((root / "AF01" / "AF01SAS.JPG").read_bytes())
    return root


def test_adding_says_what_it_is_and_how_to_report(kdef: Path) -> None:
    said = ferscope("add", kdef, "--name", "mine")
    assert "Added “mine”: KDEF, test 98; 0 left out. No official split: group by person" in said
    assert ferscope("list", "--json") == json.dumps({"heads": "rendered, built in", "mine": str(kdef)})
    shown = json.loads(ferscope("show", "mine", "--json"))
    assert shown["counts"]["test"] == dict.fromkeys(
        ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"], 14
    )


def test_the_nit_split_is_a_set_of_its_own_without_leaks(kdef: Path) -> None:
    said = ferscope("split", kdef, "--how", "female-to-male", "--name", "nit")
    assert "Kept together: person" in said
    dataset = open_dataset("nit")
    sex = dataset.index.groupby("split")["sex"].agg(lambda names: "".join(sorted(set(names))))
    assert sex.to_dict() == {"test": "M", "train": "F", "val": "F"}
    leaked = [bad for bad in dataset.skipped if "also in" in bad.reason]
    assert len(leaked) + len(dataset) == 98
    saved = pd.read_csv(known.known()["nit"].with_name("nit-split.csv"))
    assert len(saved) == 98
    again = open_dataset("nit").index
    pd.testing.assert_frame_equal(again, dataset.index)


def test_check_and_leaks_count_what_is_there(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    faces = random.integers(0, 256, (5, 48, 48), dtype=np.uint8)
    for place, number in (("train/happy", 0), ("train/sad", 1), ("train/sad", 2), ("val/sad", 0), ("val/sad", 3)):
        (tmp_path / "set" / place).mkdir(parents=True, exist_ok=True)
        Image.fromarray(faces[number]).save(tmp_path / "set" / place / f"{number}.png")
    figures = json.loads(ferscope("check", tmp_path / "set", "--json"))
    assert figures == {
        "pictures": 5, "identical_groups": 1, "groups": 1, "contradicting_groups": 1, "blank": 0,
        "leaks": {"val": {"identical": 1, "all": 1}},
    }  # fmt: skip
    assert "1 images of the validation set (50.0%) also occur in the training set" in ferscope(
        "check", tmp_path / "set"
    )
    assert "1 of 2 images of the validation set also occur in the training set: 1 identical." in ferscope(
        "leaks", tmp_path / "set"
    )
    table = json.loads(ferscope("leaks", tmp_path / "set", "--json"))
    (found,) = table
    assert len(found.pop("hash")) == 24
    assert found == {"id": "val/sad/0.png", "twin": "train/happy/0.png", "kind": "identical", "similarity": 1.0}
    said = ferscope("clean", tmp_path / "set", "--steps", "leaks", "--name", "clean")
    assert "train 2, val 2; 1 left out" in said
    assert json.loads(ferscope("audit", "clean", "--json"))[0]["why"] == "also in the validation set, as val/sad/0.png"
    with pytest.raises(FerError, match="clean.steps.0: Input should be"):
        ferscope("clean", tmp_path / "set", "--steps", "leeks", "--name", "other")


def test_with_json_nothing_else_is_printed_though_a_table_is_written(tmp_path: Path) -> None:
    assert ferscope("leaks", "heads", "--csv", tmp_path / "leaks.csv", "--json") == "[]"
    assert (tmp_path / "leaks.csv").exists()


def test_a_set_that_cannot_be_made_changes_nothing_and_none_is_written_outside_its_folder(workspace: Path) -> None:
    ferscope("clean", "heads", "--steps", "blank", "--name", "mine")
    text = (workspace / "sets" / "mine.toml").read_bytes()
    for name in ("mine", "other"):
        with pytest.raises(FerError, match="corrections cannot be read"):
            ferscope("clean", "heads", "--steps", "blank", "--name", name, "--corrections", "nowhere.csv")
    for command in ("clean", "split"):
        with pytest.raises(FerError, match="cannot name a data set"):
            ferscope(command, "heads", "--name", "../../mine")
    assert [path.name for path in (workspace / "sets").iterdir()] == ["mine.toml"]
    assert (workspace / "sets" / "mine.toml").read_bytes() == text
    assert not list(workspace.parent.glob("mine*"))


def test_a_merge_asks_for_the_sets_it_needs() -> None:
    with pytest.raises(
        FerError, match="no data set “rafdb” here yet.* data get rafdb.* Then: ferscope data add PATH --name rafdb"
    ):
        ferscope("merge", "lmu")
    with pytest.raises(FerError, match="no merge “lmo”; did you mean “lmu”"):
        ferscope("merge", "lmo")
    assert "lmu" not in known.known()


def test_the_lmu_merge_of_sets_in_their_layouts(tmp_path: Path) -> None:
    for name, build in {
        "rafdb": partial(layouts.rafdb, each=3),
        "ferplus": layouts.ferplus,
        "ckplus": layouts.ckplus,
    }.items():
        known.add(build(tmp_path / name).path, name)
    said = ferscope("merge", "lmu")
    dataset = open_dataset("lmu")
    assert dataset.expressions.name == "rafdb6"
    assert set(dataset.index["source"][dataset.index["split"] == "test"]) == {"rafdb"}
    assert set(dataset.index["source"]) == {"rafdb", "fer2013new", "ckplus"}  # FER+ made here is not FER+
    assert dataset.splits["val"] >= 1
    reasons = [bad.reason for bad in dataset.skipped]
    assert "rafdb: neutral is not in rafdb6" in reasons
    assert "fer2013new: contempt is not in rafdb6" in reasons
    assert f"{dataset.left_out} left out" in said


def test_preparing_prints_what_gave_no_face(tmp_path: Path) -> None:
    Image.fromarray(np.full((90, 90), 128, np.uint8)).save(layouts.picture(tmp_path / "photos" / "happy" / "a.png"))
    answer = json.loads(ferscope("prepare", tmp_path / "photos", tmp_path / "faces", "--workers", 1, "--json"))
    assert answer["missed"] == {"happy/a.png": "no face was found"}
    assert answer["faces"] == 0
    with pytest.raises(FerError, match="light.*Input should be"):
        ferscope("prepare", tmp_path / "photos", tmp_path / "other", "--light", "sunny")


def test_getting_a_set_says_what_to_do() -> None:
    with pytest.raises(FerError, match=r"JAFFE cannot be downloaded by a program\. To get it: ask on Zenodo"):
        ferscope("get", "jaffe")
    with pytest.raises(FerError, match="no data set “kdff”; did you mean “kdef”"):
        ferscope("get", "kdff")


def test_a_download_that_fails_here_is_one_sentence(tmp_path: Path) -> None:
    # the real failure of this machine: no kagglehub, or no account, or no internet
    own = {name: value for name, value in os.environ.items() if not name.startswith("KAGGLE")}
    command = [sys.executable, "-m", "trainers.cli", "data", "get", "fer2013"]
    ended = subprocess.run(
        command, env=own | {"HOME": str(tmp_path), "KAGGLE_CONFIG_DIR": str(tmp_path)}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    if importlib.util.find_spec("kagglehub"):
        assert re.search("needs an account|cannot be reached", ended.stderr)
    else:
        assert ended.stderr == "Error: The download needs kagglehub: pip install 'ferscope[download]'.\n"


def test_adding_opens_first_and_counts_what_is_left_out(tmp_path: Path) -> None:
    layouts.picture(tmp_path / "faces" / "train" / "happy" / "1.png")
    layouts.picture(tmp_path / "faces" / "loose.png")
    said = ferscope("add", tmp_path / "faces")
    assert "Added “faces”: folder of class folders, train 1; 1 left out." in said
    shown = json.loads(ferscope("show", "faces", "--json"))
    assert shown["skipped"] == 1
    assert shown["left_out"] == [{"id": "loose.png", "reason": "in no class folder", "n": 1}]
    with pytest.raises(FerError, match="Git LFS pointer"):
        ferscope("add", layouts.text(tmp_path / "fer2013.csv", "version https://git-lfs.github.com/spec/v1\n"))
    assert "fer2013" not in ferscope("list")


def test_a_numbered_set_is_added_with_its_numbering(tmp_path: Path) -> None:
    made = layouts.numbered(tmp_path / "numbers")
    with pytest.raises(FerError, match="Say which numbering it is"):
        ferscope("add", made.path)
    assert "1 left out" in ferscope("add", f"{made.path}@fer2013")
    assert json.loads(ferscope("show", "numbers", "--json"))["counts"]["train"]["disgust"] == 1


def test_images_without_a_label_are_a_row_of_their_own(tmp_path: Path) -> None:
    layouts.fer2013_parts(tmp_path / "parts")
    shown = json.loads(ferscope("show", tmp_path / "parts", "--json"))
    assert shown["counts"]["test"]["no label"] == 2
    assert shown["counts"]["train"]["no label"] == 0
    assert "no label" in ferscope("show", tmp_path / "parts")


def test_a_merge_finds_what_lies_beside_its_file_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layouts.ck48(tmp_path / "sets")
    layouts.text(tmp_path / "sets" / "my.toml", 'expressions = "fer7"\n[[part]]\ndata = "CK+48"\n')
    for number, folder in enumerate((tmp_path, tmp_path / "sets", tmp_path / "sets" / "CK+48")):
        monkeypatch.chdir(folder)
        said = ferscope("merge", os.path.relpath(tmp_path / "sets" / "my.toml"), "--name", f"merged-{number}")
        assert f"Added “merged-{number}”: test 9; 3 left out" in said
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").mkdir()
    layouts.text(tmp_path / "sets" / "other.toml", '[[part]]\ndata = "gone/CK"\n')
    with pytest.raises(FerError, match=f"{tmp_path / 'sets' / 'gone' / 'CK'} does not exist"):
        ferscope("merge", tmp_path / "sets" / "other.toml")


def test_expressions_that_a_network_lacks_are_left_out_by_the_command_that_its_refusal_names(tmp_path: Path) -> None:
    layouts.ck48(tmp_path / "sets")
    said = ferscope("merge", tmp_path / "sets", "--expressions", "fer7")
    assert "Added “ck48-fer7”: test 9; 3 left out" in said
    assert set(open_dataset("ck48-fer7").index["label"]) == {"angry", "happy", "sad"}


def test_a_split_leaves_images_without_a_label_where_they_are(tmp_path: Path) -> None:
    lines = [f"{i % 2 + 3},{layouts._pixels(i)}" for i in range(20)]
    layouts.text(tmp_path / "parts" / "train.csv", "\n".join(["emotion,pixels", *lines]) + "\n")
    layouts.text(tmp_path / "parts" / "test.csv", f"pixels\n{layouts._pixels(50)}\n")
    ferscope("split", tmp_path / "parts", "--how", "carve", "--name", "carved")
    dataset = open_dataset("carved")
    assert dataset.splits == {"train": 18, "val": 2, "test": 1}
    assert dataset.index["label"][dataset.index["split"] == "test"].isna().all()
