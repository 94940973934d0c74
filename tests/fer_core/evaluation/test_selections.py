"""Kept selections, and labels that a person corrects."""

from pathlib import Path

import pandas as pd
import pytest

from fer_core.datasets import relabelling
from fer_core.errors import DataError
from fer_core.evaluation import selections

PICTURES = pd.DataFrame(
    {
        "dataset": "faces",
        "split": ["val", "val", "train"],
        "id": ["001", "002", "001"],
        "label": ["sad", "happy", "sad"],
    }
)


def test_a_selection_grows_and_holds_a_picture_once() -> None:
    assert selections.names() == []
    assert selections.add("hard-cases", PICTURES[:2].assign(loss=1.0)) == 2
    assert selections.add("hard-cases", PICTURES[1:]) == 3
    kept = selections.read("hard-cases")
    assert kept[list(PICTURES)].to_numpy().tolist() == PICTURES.to_numpy().tolist()  # ids stay text: no 001 becomes 1
    assert selections.names() == ["hard-cases"]


def test_a_selection_holds_images_whatever_their_number_became() -> None:
    known = PICTURES.assign(hash=["aa", "bb", "cc"])
    assert selections.add("hard", known) == 3
    assert selections.add("hard", known.assign(hash=["dd", "bb", "cc"])) == 4  # another image under a number
    kept = selections.read("hard")
    moved = known.assign(id=["007", "001", "002"], dataset="other", hash=["aa", "ee", "cc"])
    assert selections.holds(kept, moved).tolist() == [True, False, True]
    assert selections.holds(kept, PICTURES).tolist() == [True, True, True]  # an older table, by number
    selections.add("older", PICTURES)
    assert selections.holds(selections.read("older"), known).tolist() == [True, True, True]


@pytest.mark.parametrize("name", ["", "../out", "Two words", "-x", "a" * 65])
def test_a_name_never_leaves_the_folder(name: str) -> None:
    with pytest.raises(DataError, match="small letters"):
        selections.add(name, PICTURES)


def test_bad_selections_say_what_to_do(workspace: Path) -> None:
    with pytest.raises(DataError, match="No image is selected"):
        selections.add("none", PICTURES[:0])
    with pytest.raises(DataError, match="known: none yet"):
        selections.read("none")
    (workspace / "selections").mkdir(parents=True)
    (workspace / "selections" / "odd.csv").write_text("id\n1\n")
    with pytest.raises(DataError, match="dataset, split, label is missing"):
        selections.read("odd")


def test_every_change_of_a_label_is_in_the_audit(workspace: Path) -> None:
    assert relabelling.correct("faces", PICTURES, "fear", "anna") == 3
    assert relabelling.correct("faces", PICTURES[:1], "fear", "anna") == 0  # nothing changes, nothing is noted
    assert relabelling.correct("faces", PICTURES[:1], relabelling.UNCLEAR, "ben") == 1
    assert relabelling.correct("faces", PICTURES[1:2], "happy", "ben") == 1  # back to the given label
    now = relabelling.corrections("faces")
    assert now[["split", "id", "given", "label"]].to_numpy().tolist() == [
        ["train", "001", "sad", "fear"],
        ["val", "001", "sad", "unclear"],
    ]
    audit = relabelling.audit("faces")
    assert audit[["split", "id", "before", "label", "by"]].to_numpy().tolist() == [
        ["val", "001", "sad", "fear", "anna"],
        ["val", "002", "happy", "fear", "anna"],
        ["train", "001", "sad", "fear", "anna"],
        ["val", "001", "fear", "unclear", "ben"],
        ["val", "002", "fear", "happy", "ben"],
    ]
    on_disk = pd.read_csv(workspace / "relabelling" / "faces.csv", dtype="str", keep_default_na=False)
    assert on_disk.to_numpy().tolist() == now.to_numpy().tolist()


def test_a_label_that_is_no_expression_is_refused_before_anything_is_written(workspace: Path) -> None:
    with pytest.raises(DataError, match="“hungry” is no expression"):
        relabelling.correct("faces", PICTURES, "hungry", "anna")
    with pytest.raises(DataError, match="cannot name a file"):
        relabelling.correct("../faces", PICTURES, "sad", "anna")
    assert not list(workspace.rglob("*.csv"))


def test_a_damaged_audit_is_never_written_over(workspace: Path) -> None:
    path = workspace / "relabelling" / "faces-audit.csv"
    path.parent.mkdir(parents=True)
    path.write_text("time,id\n1,2\n")
    with pytest.raises(DataError, match="expected the columns"):
        relabelling.correct("faces", PICTURES, "fear", "anna")
    assert path.read_text() == "time,id\n1,2\n"
