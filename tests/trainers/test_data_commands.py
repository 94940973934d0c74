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
    """Fourteen people, half of them women, each with every expression; one picture of a man is one of a woman's too."""
    root = tmp_path / "KDEF"
    for person in (f"A{sex}{number:02d}" for sex in "FM" for number in range(1, 8)):
        for word in ("AF", "AN", "DI", "HA", "NE", "SA", "SU"):
            layouts.picture(root / person / f"{person}{word}S.JPG", (48, 48))
    (root / "AM01" / "AM01SAS.JPG").write_bytes((root / "AF01" / "AF01SAS.JPG").read_bytes())
    return root


def test_adding_says_what_it_is_and_how_to_report(kdef: Path) -> None:
    said = ferscope("add", kdef, "--name", "mine")
    assert "Added “mine”: KDEF. No official split: group by person" in said
    assert ferscope("list", "--json") == json.dumps({"synthetic": "drawn by the program", "mine": str(kdef)})
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
    assert "1 pictures of val (50.0%) also occur in train" in ferscope("check", tmp_path / "set")
    assert "1 of 2 images of val also occur in train: 1 identical." in ferscope("leaks", tmp_path / "set")
    table = json.loads(ferscope("leaks", tmp_path / "set", "--json"))
    assert table == [{"id": "val/sad/0.png", "twin": "train/happy/0.png", "kind": "identical", "similarity": 1.0}]
    said = ferscope("clean", tmp_path / "set", "--steps", "leaks", "--name", "clean")
    assert "train 2, val 2; 1 left out" in said
    assert json.loads(ferscope("audit", "clean", "--json"))[0]["why"] == "also in val, as val/sad/0.png"
    with pytest.raises(FerError, match="clean.steps.0: Input should be"):
        ferscope("clean", tmp_path / "set", "--steps", "leeks", "--name", "other")


def test_with_json_nothing_else_is_printed_though_a_table_is_written(tmp_path: Path) -> None:
    assert ferscope("leaks", "synthetic", "--csv", tmp_path / "leaks.csv", "--json") == "[]"
    assert (tmp_path / "leaks.csv").exists()


def test_a_set_that_cannot_be_made_changes_nothing_and_none_is_written_outside_its_folder(workspace: Path) -> None:
    ferscope("clean", "synthetic", "--steps", "blank", "--name", "mine")
    text = (workspace / "sets" / "mine.toml").read_bytes()
    for name in ("mine", "other"):
        with pytest.raises(FerError, match="corrections cannot be read"):
            ferscope("clean", "synthetic", "--steps", "blank", "--name", name, "--corrections", "nowhere.csv")
    for command in ("clean", "split"):
        with pytest.raises(FerError, match="cannot name a data set"):
            ferscope(command, "synthetic", "--name", "../../mine")
    assert [path.name for path in (workspace / "sets").iterdir()] == ["mine.toml"]
    assert (workspace / "sets" / "mine.toml").read_bytes() == text
    assert not list(workspace.parent.glob("mine*"))


def test_a_merge_asks_for_the_sets_it_needs() -> None:
    with pytest.raises(
        FerError, match="no data set “rafdb” here yet.* data get rafdb.*; then: ferscope data add PATH --name rafdb"
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
    assert set(dataset.index["source"]) == {"rafdb", "ferplus", "ckplus"}
    assert dataset.splits["val"] >= 1
    reasons = [bad.reason for bad in dataset.skipped]
    assert "rafdb: neutral is not in rafdb6" in reasons
    assert "ferplus: contempt is not in rafdb6" in reasons
    assert f"{len(dataset.skipped)} left out" in said


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
        assert re.search("wants an account|cannot be reached", ended.stderr)
    else:
        assert ended.stderr == "Error: The download needs kagglehub: pip install 'ferscope[download]'.\n"
