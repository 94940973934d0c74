"""Vocabularies of facial expressions. Labels travel by name; an index means nothing outside its vocabulary."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from fer_core.errors import DataError, UnknownName

# The words that data sets and people use, each with the field's standard name for it.
SYNONYMS = {
    "anger": "angry",
    "an": "angry",
    "disgusted": "disgust",
    "di": "disgust",
    "afraid": "fear",
    "fearful": "fear",
    "scared": "fear",
    "fe": "fear",
    "happiness": "happy",
    "joy": "happy",
    "smile": "happy",
    "ha": "happy",
    "sadness": "sad",
    "sa": "sad",
    "surprised": "surprise",
    "su": "surprise",
    "neutrality": "neutral",
    "ne": "neutral",
    "contemptuous": "contempt",
}

# Okabe and Ito's colours, told apart by colour-blind people too; fixed for every chart of the product.
COLOURS = {
    "angry": "#D55E00",
    "disgust": "#009E73",
    "fear": "#CC79A7",
    "happy": "#E69F00",
    "sad": "#0072B2",
    "surprise": "#56B4E9",
    "neutral": "#888888",
    "contempt": "#F0E442",
}


@dataclass(frozen=True)
class Expressions:
    """A vocabulary: its name and its expressions in the order of a network's outputs."""

    name: str
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise DataError(f"The vocabulary “{self.name}” lists an expression twice: {', '.join(self.names)}.")

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Position of an expression among a network's outputs.

        Raises:
            UnknownName: the expression is not in this vocabulary.
        """
        try:
            return self.names.index(name)
        except ValueError:
            raise UnknownName(f"expression in {self.name}", name, self.names) from None


FER7 = Expressions("fer7", ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"))
FERPLUS8 = Expressions("ferplus8", ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt"))
RAFDB6 = Expressions("rafdb6", ("surprise", "fear", "disgust", "happy", "sad", "angry"))
VOCABULARIES = {v.name: v for v in (FER7, FERPLUS8, RAFDB6)}


def canonical(word: str) -> str | None:
    """The standard name of an expression for a word people use (“Happiness”, “AFRAID”), or None if it names none."""
    key = word.strip().lower()
    key = SYNONYMS.get(key, key)
    return key if key in COLOURS else None


def suggestion(word: str) -> str | None:
    """The expression that a misspelt word (“suprise”) most likely means, or None."""
    close = get_close_matches(word.strip().lower(), [*COLOURS, *SYNONYMS], n=1, cutoff=0.75)
    return canonical(close[0]) if close else None


def project(
    names: Iterable[str], into: Expressions, rename: Mapping[str, str] | None = None
) -> tuple[list[str | None], dict[str, int]]:
    """Labels of one vocabulary in another, by name.

    Args:
        rename: what stands for what first, such as {"contempt": "disgust"}.

    Returns:
        each label's name in `into`, None where it has none, and how many were dropped by name, the most first.
    """
    rename = rename or {}
    renamed = [rename.get(name, name) for name in names]
    dropped = Counter(name for name in renamed if name not in into.names)
    return [name if name in into.names else None for name in renamed], dict(dropped.most_common())


def vocabulary(names: Iterable[str]) -> Expressions:
    """The smallest known vocabulary that holds all the names, or a new one (“custom”) in alphabetical order."""
    found = set(names)
    for known in sorted(VOCABULARIES.values(), key=lambda v: (v.name != "fer7", len(v))):
        if found <= set(known.names):
            return known
    return Expressions("custom", tuple(sorted(found)))
