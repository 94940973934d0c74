"""A page has one name: in its file, its address, the sidebar and its title."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VIEWS = ROOT / "dashboard" / "views"


def sections() -> dict[str, str]:
    """File and sidebar word of every page, as Home has them."""
    tree = ast.parse((ROOT / "dashboard" / "Home.py").read_text(encoding="utf-8"))
    found = next(
        node.value for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "SECTIONS"
    )  # fmt: skip
    return {name: title for pages in ast.literal_eval(found).values() for name, title in pages.items()}


def titles(path: Path) -> list[str]:
    """The beginning of every title that a page draws."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    first = [
        call.args[0]
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "title" and call.args
    ]
    return [str((arg.values[0] if isinstance(arg, ast.JoinedStr) else arg).value) for arg in first]


def test_every_file_in_views_is_a_page_and_every_page_a_file() -> None:
    assert {path.stem for path in VIEWS.glob("*.py")} == set(sections())


@pytest.mark.parametrize(("name", "word"), sections().items())
def test_the_title_begins_with_the_word_in_the_sidebar(name: str, word: str) -> None:
    assert word.lower() == name
    assert titles(VIEWS / f"{name}.py")
    assert all(title.startswith(f"{word}: ") for title in titles(VIEWS / f"{name}.py"))


@pytest.mark.parametrize(
    "path", [*VIEWS.glob("*.py"), *(ROOT / "dashboard" / "parts").glob("*.py")], ids=lambda path: path.stem
)
def test_a_page_and_a_part_are_not_too_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 370
