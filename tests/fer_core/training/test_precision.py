"""The choice of precision and memory format on this machine."""

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
import torch

from fer_core.checkpoint import load_tensors, read_card
from fer_core.datasets import open_dataset
from fer_core.models import NETWORKS, build
from fer_core.recipe import parse
from fer_core.runs.folder import RunFolder
from fer_core.training import precision as speed
from fer_core.training.loop import Trainer
from fer_core.training.precision import choose_speed
from tests.tiny import tiny


def test_a_network_whose_shortcuts_end_the_process_in_fp32_and_channels_last_is_not_tried_so() -> None:
    """mini-Xception at its own size: torch's backward of its 1x1 convolutions of stride 2 is a segmentation fault."""
    spec = NETWORKS.get("mini-xception").spec
    model = build("mini-xception", classes=7, spec=spec)
    config = parse({"network": "mini-xception"})
    precision, layout, why = choose_speed(model, spec, 7, torch.device("cpu"), config)
    assert (precision, layout) != ("fp32", "channels_last")
    assert "fp32 channels_last" not in why


@pytest.fixture
def racing(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """A busy machine: at each race of timings another setting wins. What was measured is recorded."""
    turns: Iterator[float] = cycle([1.0, 2.0, 2.0, 1.0])
    measured: list[tuple[str, str]] = []

    def timing(*asked: object) -> float:
        precision, layout = str(asked[-2]), str(asked[-1])
        measured.append((precision, layout))
        return next(turns)

    monkeypatch.setattr(speed, "_measure", timing)
    monkeypatch.setattr(speed, "_worth_trying", lambda device: ["fp32"])
    return measured


def trained(name: str, learnable: Path, **changes: object) -> RunFolder:
    config = tiny(memory_format="auto", **changes)
    run = RunFolder.create(name, config, str(learnable))
    for _ in Trainer(run, open_dataset(learnable)).epochs():
        pass
    return run


def test_equal_recipes_and_seeds_give_equal_weights_however_busy_the_machine_is(
    racing: list[tuple[str, str]], learnable: Path, workspace: Path
) -> None:
    one, two = (trained(name, learnable) for name in ("one", "two"))
    first, second = (load_tensors(run.path / "best.safetensors")[0] for run in (one, two))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert racing == [("fp32", "contiguous"), ("fp32", "channels_last")]  # measured once, for both
    assert len(list((workspace / "speed").glob("*.json"))) == 1
    for run in (one, two):  # the run says which
        assert read_card(run.path).cost.device.endswith("fp32, contiguous")
        assert run.status().device.endswith("fp32, contiguous")


def test_another_input_or_a_damaged_file_is_measured_anew(racing: list[tuple[str, str]], workspace: Path) -> None:
    spec = NETWORKS.get("small-vgg").spec
    config = parse({"network": "small-vgg", "precision": "fp32"})
    model = build("small-vgg", classes=7, spec=spec)

    def choose(classes: int) -> tuple[str, str, str]:
        return choose_speed(model, spec, classes, torch.device("cpu"), config)

    assert choose(7)[1] == "contiguous"
    assert "measured now" in choose(8)[2]
    assert choose(8)[1] == "channels_last"
    assert len(racing) == 4
    assert "as measured on" in choose(7)[2]
    for path in (workspace / "speed").glob("*.json"):
        path.write_text("{")
    assert "measured now" in choose(7)[2]
