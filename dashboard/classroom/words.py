"""What the students' app says, as HTML. Drawn by macros of `dashboard/templates/classroom.html`, which escape every text."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Literal

from markupsafe import Markup

from dashboard.markup import TEMPLATES
from fer_core.classroom.images import in_words
from fer_core.classroom.session import About, Answer, Item, State
from fer_core.classroom.tasks import GUESS, LABEL, SHORTCUT
from fer_core.evaluation.intervals import percent
from fer_core.reports.html import part

UNSEEN = {
    GUESS: "A face",
    SHORTCUT: "A face with a white square at its upper edge",
}  # an alternative text gives no answer away


def _part(macro: str, *values: object) -> Markup:
    return part("classroom.html", macro, *values, within=TEMPLATES)


def source(image: bytes | None) -> str:
    """A PNG file as an address."""
    return f"data:image/png;base64,{b64encode(image).decode()}" if image else ""


def head(name: str, nickname: str = "", done: int = 0, size: int = 0) -> Markup:
    return _part("head", name, nickname, done, size)


def told(text: str, kind: Literal["say", "problem"] = "say") -> Markup:
    """A message that screen readers announce."""
    return _part("told", text, kind) if text else Markup()


def face(about: About, item: Item) -> Markup:
    """The image that is asked about."""
    notes = []
    if about.task == SHORTCUT:
        notes = [f"{name} answers {answer}." for name, answer in item.facts["answers"].items()]
        notes.append(f"The face shows {item.label}.")
    drawn = source(item.map) if about.task == SHORTCUT else ""
    alt = f"{UNSEEN.get(about.task, 'A face')}, image {item.position + 1}"
    return _part("face", source(item.image), alt, about.kind.question, drawn, notes)


def revealed(item: Item, answer: Answer) -> Markup:
    """After a guess: what the network answered, where it looked, and whether the map can be trusted."""
    facts, right = item.facts, answer.choice == item.truth
    lines = [
        f"{'Right' if right else 'Wrong'}: you guessed {answer.choice}, the network predicts {in_words(item)}. "
        f"The label is {item.label}.",
        f"For its size, the {facts['region']} has most of the map ({percent(facts['share'])} of it lie there). "
        + (f"You touched the {answer.region}." if answer.region else ""),
        facts["trust"],
    ]
    return _part("reveal", lines, source(item.map), f"Map of the network, strongest at the {facts['region']}")


def waiting(state: State, about: About, done: int) -> str:
    """Why nothing is asked at the moment."""
    if state == "paused":
        return "The class is paused. It continues by itself."
    if state == "ended":
        return "The class has ended. Your answers are kept. Wait here: the right answers may be shown."
    if about.together and done < about.size:
        return "Your answer is kept. Wait for the next image."
    return f"Thank you. Your {done} answers are kept. Wait here: the right answers may be shown."


def results(about: About, items: Sequence[Item], own: Mapping[int, Answer], most: Mapping[int, str]) -> Markup:
    """When the teacher has revealed the answers: each image with one's own answer, the class's and the network's."""
    judged = about.task != LABEL
    hits = sum(own[item.position].choice == item.truth for item in items if item.position in own)
    sentences = []
    if judged and own:
        sentences.append(f"You are right on {hits} of {len(own)} images ({percent(hits / len(own))}).")
    theirs = [item for item in items if item.facts.get("probs") and item.position in most and about.task != GUESS]
    if theirs:
        good = sum(max(item.facts["probs"], key=item.facts["probs"].get) == item.truth for item in theirs)
        sentences.append(f"{about.network} is right on {good} of {len(theirs)} ({percent(good / len(theirs))}).")
    if about.task == SHORTCUT and items:
        sentences.append(f"{items[0].truth} learned the white square: in its training images it told the label.")
    rows = []
    for item in items:
        mine = own.get(item.position)
        lines = [f"label: {item.label}"] if about.task != SHORTCUT else []
        if mine:
            lines.append(f"you: {mine.choice}")
        if item.position in most:
            lines.append(f"class: {most[item.position]}")
        if said := in_words(item):
            lines.append(f"network: {said}")
        right = mine.choice == item.truth if mine and judged else None
        rows.append({"source": source(item.image), "alt": f"Image {item.position + 1}", "right": right, "lines": lines})
    return _part("results", sentences, rows)
