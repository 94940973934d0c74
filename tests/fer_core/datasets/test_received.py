"""A data set sent as a file: kept in the workspace and opened as a path is; a bad one leaves nothing behind."""

import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_core.datasets import archive, known, open_dataset, received
from fer_core.datasets.received import receive
from fer_core.errors import DataError

pytestmark = pytest.mark.fast


def png(level: int) -> bytes:
    content = BytesIO()
    Image.fromarray(np.full((24, 24), level, np.uint8)).save(content, "PNG")
    return content.getvalue()


def zip_of(files: dict[str, bytes]) -> BytesIO:
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        for name, data in files.items():
            made.writestr(name, data)
    return content


def files_below(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


FACES = {"faces/train/happy/a.png": png(10), "faces/val/sad/b.png": png(20), "faces/val/fear/c.png": png(30)}


def test_a_zip_of_class_folders_is_the_same_set_as_its_folder(workspace: Path, tmp_path: Path) -> None:
    told: list[int] = []
    name, left_out = receive(zip_of(FACES), "My Faces.zip", unpacked=told.append)
    assert (name, left_out, told) == ("my-faces", (), [1, 2, 3])
    for path, data in FACES.items():
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(data)
    there, here = open_dataset(tmp_path / "faces"), open_dataset(name)
    assert here.fingerprint == there.fingerprint
    assert here.splits == {"train": 1, "val": 2}
    assert not list((workspace / "uploads").rglob("*.zip"))


def test_a_table_of_labels_in_a_zip_is_read(workspace: Path) -> None:
    table = b"file,label\na.png,happy\nb.png,sad\n"
    name, _ = receive(zip_of({"labels.csv": table, "a.png": png(10), "b.png": png(20)}), "tabled.zip")
    assert sorted(open_dataset(name).index["label"]) == ["happy", "sad"]


def test_a_csv_is_kept_under_a_safe_name(workspace: Path) -> None:
    rows = "".join(f"{label},{' '.join([str(40 * label)] * 2304)},Training\n" for label in range(7))
    sent = BytesIO(f"emotion,pixels,Usage\n{rows}".encode())
    name, _ = receive(sent, r"..\..\out side\my set.csv")
    assert name == "my-set"
    place = known.known()[name]
    assert place == (workspace / "uploads" / "my-set" / "my_set.csv").resolve()
    assert len(open_dataset(name)) == 7


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("words.csv", b"a,b\n1,2\n", "words.csv: no known layout"),
        ("broken.zip", b"no zip at all", "broken.zip is no readable zip"),
        ("empty.zip", zip_of({"notes.md": b"nothing"}).getvalue(), "empty.zip holds no image"),
        ("odd.zip", zip_of({"train/hapy/a.png": png(1)}).getvalue(), "odd.zip: “hapy” (did you mean “happy”?)"),
        ("torn.zip", zip_of({"happy/a.png": b"torn", "sad/b.png": png(1)}).getvalue(), "torn.zip: 1 of 2 entries"),
        ("out.zip", zip_of({**FACES, "../happy/x.png": png(1)}).getvalue(), "its name leads out of the archive"),
        (
            "twice.zip",
            zip_of({"happy/a.png": png(1), "happy//a.png": png(2)}).getvalue(),
            "another file of the archive",
        ),
        ("heads.zip", zip_of(FACES).getvalue(), "“heads” cannot name a data set"),
    ],
)
def test_a_bad_file_is_refused_in_the_readers_words_and_leaves_nothing(
    workspace: Path, name: str, content: bytes, said: str
) -> None:
    with pytest.raises(DataError) as error:
        receive(BytesIO(content), name)
    assert said in str(error.value)
    assert str(workspace) not in str(error.value)
    assert not files_below(workspace)
    assert known.known() == {}


def test_what_leads_out_is_left_out_where_that_was_chosen(workspace: Path) -> None:
    name, left_out = receive(zip_of({**FACES, "../../escaped.png": png(1)}), "faces.zip", on_bad="skip")
    assert [(one.id, one.reason) for one in left_out] == [("../../escaped.png", "its name leads out of the archive")]
    assert len(open_dataset(name)) == 3
    assert not list(workspace.parent.rglob("escaped.png"))


def test_a_taken_name_and_limits_are_said(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    receive(zip_of(FACES), "faces.zip")
    with pytest.raises(DataError, match="“faces” is already used for .*choose another name"):
        receive(zip_of(FACES), "faces.zip")
    assert len(open_dataset("faces")) == 3
    monkeypatch.setattr(archive, "MAX_PICTURES", 2)
    with pytest.raises(DataError, match="holds more than 2 images"):
        receive(zip_of(FACES), "many.zip")
    monkeypatch.setattr(received, "MAX_MB", 0)
    with pytest.raises(DataError, match="many.zip is larger than 0 MB"):
        receive(zip_of(FACES), "many.zip")
    assert [path.name for path in (workspace / "uploads").iterdir() if path.is_dir()] == ["faces"]
