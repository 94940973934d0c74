"""The glossary, the help texts that quote it, and the labels of settings."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fer_core.explanation import METHODS
from fer_core.glossary import GLOSSARY, explained
from fer_core.recipe import Section, TrainConfig, setting_title

ROOT = Path(__file__).resolve().parents[2]


def quoted() -> Iterator[tuple[str, str]]:
    """File and term of every `explained(...)` on the pages."""
    for path in sorted((ROOT / "dashboard").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "explained":
                yield from ((path.name, arg.value) for arg in node.args if isinstance(arg, ast.Constant))


def settings(model: type[Section] = TrainConfig, prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from settings(field.annotation, f"{prefix}{name}.") if name != "about" else ()
        else:
            yield prefix + name


def test_every_term_that_a_page_explains_is_in_the_glossary() -> None:
    terms = list(quoted())
    assert len(terms) > 40
    assert [one for one in terms if one[1] not in GLOSSARY] == []


def test_the_glossary_has_no_term_that_no_page_explains() -> None:
    titles = {setting_title(name) for name in settings()} | {method.title for _, method in METHODS.items()}
    used = {
        term for _, term in quoted()
    } | titles  # the form of a run and the maps explain settings and methods by title
    assert sorted(set(GLOSSARY) - used) == []


@pytest.mark.parametrize("name", GLOSSARY)
def test_a_meaning_is_one_to_three_short_sentences(name: str) -> None:
    meaning = GLOSSARY[name].meaning
    sentences = re.split(r"(?<=[.])\s+(?=[A-Z0-9])", meaning)
    assert meaning.endswith(".")
    assert len(sentences) <= 3
    assert max(len(sentence.split()) for sentence in sentences) <= 40


def test_several_terms_are_explained_in_paragraphs() -> None:
    assert explained("EMA", "Seed").startswith("**EMA**: ")
    assert "\n\n**Seed**: " in explained("EMA", "Seed")


def test_every_setting_has_a_label_of_its_own_and_a_description() -> None:
    names = list(settings())
    titles = [setting_title(name) for name in names]
    assert len(set(titles)) == len(titles)
    assert all(title != name and title[0].isupper() for title, name in zip(titles, names, strict=True))
    for name in names:
        model = TrainConfig
        *sections, last = name.split(".")
        for part in sections:
            model = model.model_fields[part].annotation
        assert model.model_fields[last].description, name


def test_an_unknown_setting_is_its_own_label() -> None:
    assert setting_title("optimizer.lr") == "Learning rate"
    assert setting_title("arguments.dropout") == "Network: dropout"
    assert setting_title("optimizer.gone") == "optimizer.gone"
    assert setting_title("epochs.gone") == "epochs.gone"
