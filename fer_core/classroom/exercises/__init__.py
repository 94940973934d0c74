"""The three labs of a class: questions whose answers are in the student's own workspace, and the check of what was answered.

A lab is one file that defines `LAB`. A question holds no answer: `truth` finds it in the workspace at the moment of the check.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fer_core.errors import ClassError, FerError, shortened
from fer_core.untrusted import parse_toml, read_text

Given = float | str
ROUNDED = 0.06  # in the unit of a question: pages show one decimal
LARGEST = 2**16  # bytes of a file of answers
LONGEST = 80  # signs of a name or an answer


@dataclass(frozen=True)
class Question:
    """A question of a lab.

    Attributes:
        key: by which an answer file names it.
        unit: “%”, “points” or “” behind a number.
        truth: the answer in this workspace, as a number in that unit or one of `choices`.

            Raises:
                FerError: the workspace does not hold it yet; the message says what to do.
        hint: what helps somebody whose answer is off.
        choices: the words that can be answered; empty: a number.
        within: the largest difference that counts as right.
    """

    key: str
    text: str
    unit: str
    truth: Callable[[], Given]
    hint: str
    choices: tuple[str, ...] = ()
    within: float = ROUNDED


@dataclass(frozen=True)
class Lab:
    """A lab of 90 minutes; its sheets are in docs/labs."""

    number: int
    title: str
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Verdict:
    """What a check says of one answer.

    Attributes:
        given: the answer; None: none was given.
        right: None: it cannot be said yet, because the workspace lacks what was asked about or nothing was answered.
        said: the hint, or what to do.
    """

    question: Question
    given: Given | None
    right: bool | None
    said: str


def labs() -> dict[int, Lab]:
    """The labs by their number."""
    from fer_core.classroom.exercises import how_good, train_and_break, where_it_looks

    return {one.LAB.number: one.LAB for one in (how_good, where_it_looks, train_and_break)}


def lab(number: int) -> Lab:
    """
    Raises:
        ClassError: there is none of this number.
    """
    known = labs()
    if number not in known:
        raise ClassError(f"There is no lab {number}; the labs are {', '.join(map(str, known))}.")
    return known[number]


def check(lab: Lab, answers: Mapping[str, object]) -> list[Verdict]:
    """A verdict on each question of a lab, in their order.

    Args:
        answers: by the questions' keys; those that are missing were not answered.
    """
    return [_verdict(question, answers.get(question.key)) for question in lab.questions]


def _verdict(question: Question, given: object) -> Verdict:
    text = str(given).strip() if given is not None else ""
    if not text:
        return Verdict(question, None, None, "Not answered yet.")
    try:
        truth = question.truth()
    except FerError as error:
        return Verdict(question, shortened(text, LONGEST), None, str(error))
    if isinstance(truth, str):
        right = text.casefold() == truth.casefold()
        return Verdict(question, shortened(text, LONGEST), right, "" if right else question.hint)
    try:
        number = float(text.replace("−", "-").replace(",", ".").rstrip("% "))
    except ValueError:
        return Verdict(question, shortened(text, LONGEST), False, "Give a number, such as 63.5.")
    if abs(number - truth) <= question.within:
        return Verdict(question, number, True, "")
    return Verdict(question, number, False, _slip(question, number, truth) or question.hint)


def _slip(question: Question, number: float, truth: float) -> str:
    """What went wrong on the way to the sheet; “” where the figure itself is another one."""
    if question.unit and abs(100 * number - truth) <= question.within and abs(number) <= 1:
        return f"This is a share of 1. Give it in {question.unit}: multiply it by 100."
    if truth and abs(number + truth) <= question.within:
        return "The size is right and the sign is not. Look at which of the two is subtracted."
    if abs(number - truth) <= 0.6 and number == round(number):
        return "This is rounded to a whole number. Give one decimal."
    return ""


def blank(lab: Lab) -> str:
    """An answer file to fill in, as TOML."""
    lines = [f"# Lab {lab.number}: {lab.title}", 'name = ""  # yours', ""]
    for question in lab.questions:
        wanted = " or ".join(question.choices) or f"a number{f' in {question.unit}' if question.unit else ''}"
        lines += [f"# {question.text} ({wanted})", f'{question.key} = ""']
    return "\n".join(lines) + "\n"


def read_answers(path: Path) -> dict[str, str]:
    """The answers of a file by the questions' keys, and the student's `name`.

    Raises:
        ClassError: it cannot be read, or is no TOML of words and numbers.
    """
    try:
        values = parse_toml(read_text(path, LARGEST))
    except OSError as error:
        raise ClassError(
            f"{path} cannot be read ({error.strerror}); make it with `ferscope check-lab NUMBER`."
        ) from error
    except (ValueError, tomllib.TOMLDecodeError) as error:
        raise ClassError(f"{path} is no file of answers ({error}); each line is like accuracy = 63.5.") from error
    wrong = [
        key for key, value in values.items() if isinstance(value, bool) or not isinstance(value, str | int | float)
    ]
    if wrong:
        raise ClassError(f"{path}: the answer “{shortened(wrong[0])}” is neither a word nor a number.")
    return {key: str(value) for key, value in values.items()}
