"""The commands and images that README and docs name exist; its examples are run in test_extending.py."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trainers.cli import app

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.process
def test_every_command_of_readme_and_docs_exists() -> None:
    text = README + "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md")))
    commands = set(re.findall(r"`ferscope ([a-z-]+)", text)) | set(re.findall(r"bin/ferscope ([a-z-]+)", text))
    assert len(commands) > 15
    for command in commands:
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0, command


def test_the_readme_shows_files_that_are_there() -> None:
    for path in re.findall(r"\[[^\]]*\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / path).exists(), path
