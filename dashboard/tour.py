"""A tour in five steps for a newcomer, from a face to a network of one's own. It is offered once in a workspace, can be skipped,
and Home starts it again."""

from dataclasses import dataclass

import streamlit as st

from fer_core import workspace

SEEN = "tour-seen"  # a file of the workspace: the tour has been offered
STEP = "tour"  # of the session: the number of the step


@dataclass(frozen=True)
class Step:
    """One page of the tour: its name, its word in the sidebar, and what to do there."""

    page: str
    word: str
    text: str


STEPS = (
    Step(
        "home",
        "Home",
        "Choose what the face shows. The bars are what the network predicts, and the bright region of the second image is what "
        "its prediction rests on.",
    ),
    Step(
        "evaluate",
        "Evaluate",
        "The matrix counts how often each expression was predicted as each other. Click a cell to see its images.",
    ),
    Step("gallery", "Gallery", "These are the worst errors. Which of them would you have got right?"),
    Step(
        "explain",
        "Explain",
        "Turn on “Cover parts with the pointer” and move over the face. Below the maps, “Other expressions, methods, networks "
        "and parameters” has more methods. The sentence below each map says whether it was tested.",
    ),
    Step(
        "train",
        "Train",
        "Press Start training. In a few minutes your own network is in the lists of all pages. That is the tour: Live tries a "
        "network on your camera, and Data adds your own images.",
    ),
)


def draw(page: str) -> None:
    """Draw the present step at the top of a page, if the tour is on; on a fresh workspace it begins on Home."""
    seen = workspace.home() / SEEN
    asked = st.query_params.get(STEP, "")
    if asked.isdecimal() and 1 <= int(asked) <= len(STEPS) and asked != st.session_state.get("tour-link"):
        st.session_state[STEP], st.session_state["tour-link"] = int(asked) - 1, asked
    if STEP not in st.session_state:
        if page != "home" or seen.exists():
            return
        st.session_state[STEP] = 0
        workspace.write_atomically(seen, b"")
    number = st.session_state[STEP]
    if number is None:
        return
    step = STEPS[number]
    with st.container(border=True, key="tour"):
        st.markdown(f"**Tour, step {number + 1} of {len(STEPS)}: {step.word}.** {step.text}")
        with st.container(horizontal=True, vertical_alignment="center"):
            if page != step.page:
                _link(number, f"Go to {step.word}")
            elif number + 1 < len(STEPS):
                _link(number + 1, f"Next: {STEPS[number + 1].word}")
            if st.button("End the tour" if number + 1 == len(STEPS) else "Skip the tour"):
                st.session_state[STEP] = None
                st.query_params.pop(STEP, None)
                st.rerun()


def _link(number: int, label: str) -> None:
    """A link to the page of a step, which the address names: it works from any page, whatever was chosen there."""
    st.page_link(
        f"views/{STEPS[number].page}.py",
        label=label,
        query_params={STEP: str(number + 1)},
        icon=":material/arrow_forward:",
    )


def again() -> None:
    """Start the tour from its first step."""
    st.session_state[STEP] = 0
