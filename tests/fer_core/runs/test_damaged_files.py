"""Every file of a run is read as if a stranger had written it: a bad one is named with its reason, and all others live."""

import re
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fer_core.checkpoint import load_tensors
from fer_core.errors import CheckpointError, RunError, UnknownName
from fer_core.recipe import load_recipe
from fer_core.runs import store
from fer_core.runs.folder import RunFolder
from fer_core.untrusted import read_text
from tests.app.examples import make_network
from tests.damage import DAMAGE
from tests.tiny import tiny


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_listed_with_its_reason_and_the_other_runs_live(kind: str) -> None:
    name, damage, reason = DAMAGE[kind]
    make_network("good", None)
    damage(make_network("bad", None) / name)
    assert "good" in store.checkpoints()
    found = store.damaged()
    assert list(found) == ["bad"]
    assert re.search(reason, " ".join(found["bad"]))
    run = RunFolder.named("bad")
    run.look()
    run.metrics(), run.notes(), run.confusion(), run.warning()
    assert RunFolder.create("another", tiny(), "synthetic").status().state == "queued"
    with pytest.raises(UnknownName, match="good"):
        store.find("missing")


@pytest.mark.parametrize(
    "content",
    [b"[[1, 2]]", b'"x"', b"[[1e400]]", b"[[-1]]", b"[" * 10_000, b"\xff", b"[[99999999999999999999]]", b"[]"],
)
def test_a_damaged_confusion_matrix_is_none(content: bytes) -> None:
    folder = make_network("bad", None)
    (folder / "confusion.json").write_bytes(content)
    assert RunFolder.named("bad").confusion() is None


def test_what_comes_before_the_damage_of_a_history_is_kept_and_a_cut_last_line_is_no_damage() -> None:
    run = RunFolder(make_network("run", None, epochs=4))
    lines = (run.path / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run.path / "metrics.jsonl").write_text("".join(lines[:3]) + lines[3][:20])
    assert len(run.metrics()) == 3
    assert run.problems() == []
    (run.path / "metrics.jsonl").write_text(lines[0] + "{}\n" + lines[2])
    assert len(run.metrics()) == 1
    assert "line 2" in run.problems()[0]


@pytest.mark.parametrize("name", ["CON", "con", "nul.txt", "Lpt1", "run.", "../up", "x" * 5000, "a\0b", "", ".hidden"])
def test_a_name_that_some_system_cannot_keep_is_no_name(name: str) -> None:
    with pytest.raises(RunError, match="cannot name a run") as caught:
        RunFolder.named(name)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "/" * 5000 + "x" * 300])
def test_a_name_that_the_system_refuses_gets_a_sentence(name: str) -> None:
    for ask in (store.find, load_recipe):
        with pytest.raises((UnknownName, CheckpointError)) as caught:
            ask(name)
        assert len(str(caught.value)) < 1500


def test_a_weights_file_of_300_000_empty_tensors_is_refused_at_once(tmp_path: Path) -> None:
    empty = torch.zeros(0)
    save_file({f"t{number}": empty.clone() for number in range(25_000)}, tmp_path / "w.safetensors")
    header = b"{" + b",".join(
        b'"t%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % number for number in range(300_000)
    ) + b"}"  # fmt: skip
    (tmp_path / "many.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    for file, reason in (("w", "25,000 tensors"), ("many", "header has")):
        started = time.perf_counter()
        with pytest.raises(CheckpointError, match=reason):
            load_tensors(tmp_path / f"{file}.safetensors")
        assert time.perf_counter() - started < 2


@pytest.mark.parametrize("path", ["/dev/zero", "/proc/self/mem"])
def test_a_device_is_never_read_as_text(path: str) -> None:
    with pytest.raises(ValueError, match="regular|cannot be read"):
        read_text(Path(path))
