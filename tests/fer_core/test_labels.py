"""Vocabularies of expressions."""

import pytest

from fer_core.errors import DataError, UnknownName
from fer_core.labels import (
    COLOURS,
    FER7,
    SYNONYMS,
    TRANSLATIONS,
    VOCABULARIES,
    Expressions,
    canonical,
    suggestion,
    translated,
    vocabulary,
)


def test_fer2013s_numbers_stand_for_its_published_names() -> None:
    assert FER7.names == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    assert FER7.index("neutral") == 6


@pytest.mark.parametrize(
    ("word", "meant"), [("Happiness", "happy"), (" AFRAID ", "fear"), ("surprise", "surprise"), ("tired", None)]
)
def test_words_of_other_data_sets_find_their_expression(word: str, meant: str | None) -> None:
    assert canonical(word) == meant


@pytest.mark.parametrize(
    ("word", "meant"),
    [("suprise", "surprise"), ("hapy", "happy"), ("unhappy", None), ("Unsurprised", None), ("xyz", None)],
)
def test_a_misspelt_word_gets_a_suggestion(word: str, meant: str | None) -> None:
    assert suggestion(word) == meant


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("Überraschung", "surprise"),
        ("U\u0308berraschung", "surprise"),
        (" Colère", "angry"),
        ("快乐", "happy"),
        ("xyz", None),
    ],
)
def test_a_word_of_another_language_is_translated(word: str, meant: str | None) -> None:
    assert translated(word) == meant
    assert canonical(word) is None


def test_no_word_stands_for_two_expressions() -> None:
    words = [word for expression in TRANSLATIONS.values() for word in expression.split()]
    assert len(set(words)) == len(words)
    assert set(TRANSLATIONS) == set(COLOURS)
    assert not any(canonical(word) for word in words)


def test_every_expression_has_a_colour_and_no_two_share_one() -> None:
    assert {name for known in VOCABULARIES.values() for name in known.names} <= set(COLOURS)
    assert set(SYNONYMS.values()) <= set(COLOURS)
    assert len(set(COLOURS.values())) == len(COLOURS)


def test_an_unknown_expression_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="no expression in fer7 “contempt”.*Known: angry"):
        FER7.index("contempt")


def test_a_vocabulary_with_a_name_twice_is_refused() -> None:
    with pytest.raises(DataError, match="twice"):
        Expressions("mine", ("happy", "happy"))


def test_the_smallest_known_vocabulary_is_chosen() -> None:
    assert vocabulary(["happy", "sad"]) is FER7
    assert vocabulary(["happy", "contempt"]).name == "ferplus8"
