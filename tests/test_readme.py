"""The README's examples run as they stand, and its commands are the ones that exist."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NETWORK, DATASET, METHOD = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def run(example: str, check: str) -> None:
    """Run an example and a check in a process of their own, so that nothing stays registered here."""
    program = example + textwrap.dedent(check)
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def test_the_network_example_trains_like_any_other() -> None:
    run(
        NETWORK,
        """
        import torch
        from fer_core.models import NETWORKS, build
        model = build("linear", classes=7, spec=NETWORKS.get("linear").spec)
        assert model(torch.zeros(2, 1, 48, 48)).shape == (2, 7)
        """,
    )


def test_the_data_set_example_reads_a_folder(tmp_path: Path) -> None:
    from PIL import Image

    for name in ("happy-1", "sad-1", "sad-2"):
        Image.new("L", (48, 48), 90).save(tmp_path / f"{name}.pgm")
    run(
        DATASET,
        f"""
        from fer_core.datasets import open_dataset
        from fer_core.images import ImageSpec
        dataset = open_dataset({str(tmp_path)!r})
        assert dataset.title.startswith("Flat folder")
        assert dataset.index["label"].tolist() == ["happy", "sad", "sad"]
        assert dataset.images(ImageSpec()).shape == (3, 48, 48)
        """,
    )


def test_the_method_example_gives_a_map() -> None:
    run(
        METHOD,
        """
        import numpy as np
        from fer_core.explanation import explain
        from fer_core.models import NETWORKS, build
        spec = NETWORKS.get("mini-xception").spec
        model = build("mini-xception", classes=7, spec=spec).eval()
        picture = np.zeros((1, 64, 64), np.uint8)
        picture[:, 32:] = 200
        found = explain(model, picture, spec, [0], "edges")
        assert found.map.shape == (1, 64, 64)
        assert found.map[0, 31:33].min() > found.map[0, :20].max()
        """,
    )


def test_every_command_of_the_readme_exists() -> None:
    from typer.testing import CliRunner

    from trainers.cli import app

    commands = set(re.findall(r"`ferscope ([a-z-]+)", README)) | set(re.findall(r"bin/ferscope ([a-z-]+)", README))
    assert len(commands) > 15
    for command in commands:
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0, command


def test_the_readme_shows_a_picture_that_is_there() -> None:
    for path in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README):
        assert (ROOT / path).is_file(), path
