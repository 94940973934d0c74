"""Every `ferscope` command that a page, a recipe or the documentation names exists, with its options."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from tests.test_wording import READ, ROOT, texts
from trainers.cli import app

CLI = typer.main.get_command(app)
NAMED = [*READ, ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(path: Path) -> Iterator[str]:
    """The commands of a file, each up to its end: a backtick, a quotation mark, a bracket, a full stop or the line's end."""
    for _, text in texts(path):
        for found in re.finditer(r"ferscope (?=[a-z])[^`“”\"()\n;|]*", text):
            yield re.split(r"[.:,] |\.$", found[0])[0]


def problem(line: str) -> str:
    """What is wrong with a command line; empty if nothing is."""
    command: Any = CLI
    words = line.split()[1:]
    while words and (inner := getattr(command, "commands", {}).get(words[0])) is not None:
        command, words = inner, words[1:]
    if command is CLI:
        return f"there is no command “{line}”"
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in words if re.fullmatch(r"--[a-z-]+", word) and word not in {*known, "--help"}]
    return f"“{line}”: no option {', '.join(unknown)}" if unknown else ""


def test_the_commands_exist() -> None:
    assert [f"{path}: {wrong}" for path in NAMED for line in commands(path) if (wrong := problem(line))] == []


def test_a_wrong_command_is_found() -> None:
    assert problem("ferscope trian small-vgg")
    assert "--dat" in problem("ferscope train small-vgg --dat x")
    assert not problem("ferscope train small-vgg --data x")
