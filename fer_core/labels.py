"""Vocabularies of facial expressions. Labels are passed on by name; an index only has a meaning within its
vocabulary."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from unicodedata import normalize

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

# What class folders are called in German, French, Spanish, Italian, Portuguese, Turkish, Chinese and Japanese. A word is
# only proposed for these, never taken as said.
TRANSLATIONS = {
    "angry": "wütend wut ärger zorn colère fâché enojado enojo enfado ira arrabbiato rabbia raiva kızgın 愤怒 生气 怒り",
    "disgust": "ekel angeekelt dégoût dégoûté asco disgusto disgustato nojo iğrenme 厌恶 嫌悪",
    "fear": "angst furcht ängstlich peur miedo temor paura medo korku 恐惧 害怕 恐怖",
    "happy": "glücklich fröhlich freude joie heureux feliz felicidad alegría felice gioia felicidade alegria mutlu 高兴 快乐 "
    "开心 喜び",
    "sad": "traurig trauer traurigkeit triste tristesse tristeza tristezza üzgün 悲伤 伤心 悲しみ",
    "surprise": "überraschung überrascht surpris sorpresa sorprendido sorpreso surpresa surpreso şaşkın 惊讶 驚き",
    "neutral": "neutre neutro neutrale nötr 中性 平静 無表情",
    "contempt": "verachtung mépris desprecio disprezzo desprezo 轻蔑 軽蔑",
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


def translated(word: str) -> str | None:
    """The expression that a word of another language (“Überraschung”) names, or None."""
    key = normalize("NFC", word).strip().lower()  # archives made on a Mac hold letters and their dots apart
    return next((name for name, words in TRANSLATIONS.items() if key in words.split()), None)


def suggestion(word: str) -> str | None:
    """The expression that a misspelt word (“suprise”) most likely means, or None; “unhappy” is no misspelt “happy”."""
    key = word.strip().lower()
    if canonical(key.removeprefix("un")):
        return canonical(key)
    close = get_close_matches(key, [*COLOURS, *SYNONYMS], n=1, cutoff=0.75)
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
