"""The labs of a class: questions, a check against this workspace, and the report to hand in."""

from __future__ import annotations

import json
from pathlib import Path

import streamlit as st

from dashboard.text import verbatim
from fer_core import workspace
from fer_core.classroom.exercises import Lab, Question, check, labs
from fer_core.classroom.exercises.report import report
from fer_core.untrusted import read_json

THOUGHTS = "What I found"


def draw() -> None:
    """Choose a lab, answer its questions, check them, take the report along."""
    known = labs()
    number = int(
        st.segmented_control(
            "Lab",
            list(known),
            format_func=lambda one: f"{one}: {known[one].title}",
            default=1,
            required=True,
            key="lab",
        )
    )
    lab, kept = known[number], _kept(number)
    with st.form(f"lab-{number}", border=False):
        name = st.text_input("Your name", kept.get("name", ""), max_chars=60, width=320)
        answers = {question.key: _field(question, kept.get(question.key, "")) for question in lab.questions}
        thoughts = st.text_area(f"{THOUGHTS}, in your own words", kept.get("thoughts", ""), max_chars=4000)
        if st.form_submit_button("Check my answers", type="primary"):
            kept = {**answers, "name": name, "thoughts": thoughts}
            workspace.write_atomically(_place(number), json.dumps(kept).encode())
    if kept:
        _checked(lab, kept)


def _field(question: Question, before: str) -> str:
    if question.choices:
        at = question.choices.index(before) if before in question.choices else None
        return str(st.selectbox(question.text, question.choices, at, placeholder="Choose an answer", width=480) or "")
    unit = f" ({question.unit})" if question.unit else ""
    return st.text_input(f"{question.text}{unit}", before, max_chars=20, width=480)


def _checked(lab: Lab, kept: dict[str, str]) -> None:
    verdicts = check(lab, kept)
    right = sum(one.right is True for one in verdicts)
    st.markdown(f"**{right} of {len(verdicts)} answers are right.**")
    for one in verdicts:
        words = f"{verbatim(one.question.text)} {verbatim(one.said)}"
        if one.right is False:
            st.warning(words, icon=":material/close:")
        elif one.right is None and one.given is not None:
            st.info(words)
    if kept.get("name", "").strip():
        text = {THOUGHTS: kept["thoughts"]} if kept.get("thoughts", "").strip() else {}
        st.download_button(
            "Download my report (html)",
            report(lab, kept["name"], verdicts, text),
            f"lab-{lab.number}.html",
            "text/html",
        )
    else:
        st.info("Type your name and check again. Then your report can be downloaded.")


def _place(number: int) -> Path:
    return workspace.home() / "labs" / f"{number}.json"


def _kept(number: int) -> dict[str, str]:
    """What was answered before; nothing where the file is damaged."""
    try:
        return {str(key): str(value) for key, value in read_json(_place(number)).items()}
    except (OSError, ValueError, AttributeError):
        return {}
