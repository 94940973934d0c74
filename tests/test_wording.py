"""What people read follows docs/style.md: none of the terms in its table of banned terms appears."""

import ast
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STYLE = ROOT / "docs" / "style.md"
# What people read: of Python the strings and comments, of TOML and Markdown every line.
READ = [
    *(path for top in ("dashboard", "fer_core", "trainers") for path in sorted((ROOT / top).rglob("*.py"))),
    *sorted((ROOT / "fer_core" / "recipes").rglob("*.toml")),
    *sorted((ROOT / "fer_core" / "datasets" / "shipped").glob("*.toml")),
    *sorted((ROOT / "fer_core" / "reports" / "templates").iterdir()),
    *sorted(ROOT.glob("*.md")),
    *(path for path in sorted((ROOT / "docs").rglob("*.md")) if path != STYLE),
]

# What keeps a banned term, and why.
ALLOWED = {
    ("pickers.py", "with its temperature"),  # a word of saved links, renewed there
}


@cache
def banned() -> list[tuple[str, re.Pattern[str]]]:
    """What to write instead, and the pattern, of each row of the table in docs/style.md."""
    _, _, part = STYLE.read_text(encoding="utf-8").partition("## Banned terms")
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \| .+? \|$", part, re.MULTILINE)
    return [(instead, re.compile(pattern.replace(r"\|", "|"), re.IGNORECASE)) for pattern, instead in rows]


@cache
def texts(path: Path) -> list[tuple[int, str]]:
    """Line and text of everything in a file that people read."""
    return list(_texts(path))


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    if path.suffix != ".py":
        yield from enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        return
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else "0" for part in node.values]
            yield node.lineno, "".join(parts)
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and not re.fullmatch(r"[\w./:-]*", node.value)
        ):
            yield node.lineno, node.value


def mistakes(path: Path) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line}: “{match[0]}”, better: {instead}"
        for line, text in texts(path)
        for instead, pattern in banned()
        # a parameter of a function, code between backticks, or an expression of a template keeps its name
        if (match := pattern.search(re.sub(r"`[^`]*`|^ +\w+(, \w+)*: |\{\{.*?\}\}", "", text, flags=re.MULTILINE)))
        and (path.name, match[0].lower()) not in ALLOWED
    ]


def test_the_table_of_banned_terms_is_read() -> None:
    assert len(banned()) > 20


@pytest.mark.parametrize(
    "sentence",
    [
        "Small VGG reads 72.1 % of 3,589 pictures",
        "A and B cannot be told apart",
        "on average 0.3 points less sure than right",
        "0.7 points of fer2013, val",
        "with its temperature",
        "The link asks for “one”",
        "of train",
    ],
)
def test_a_sentence_of_the_old_style_is_found(sentence: str) -> None:
    assert any(pattern.search(sentence) for _, pattern in banned())


def test_no_banned_term_is_read() -> None:
    assert [mistake for path in READ for mistake in mistakes(path)] == []
