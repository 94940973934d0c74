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
        "Open the drawer below the image and choose another method. Two methods that disagree are a reason for doubt, and the "
        "sentence below each map says whether it was tested.",
    ),
    Step("train", "Train", "Press Start training. In a few minutes your own network is in the lists of all pages."),
)


def draw(page: str) -> None:
    """Draw the present step at the top of a page, if the tour is on; on a fresh workspace it begins on Home."""
    seen = workspace.home() / SEEN
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
        with st.container(horizontal=True):
            if page != step.page and st.button(f"Go to {step.word}", type="primary"):
                st.switch_page(f"views/{step.page}.py")
            if page == step.page and number + 1 < len(STEPS):
                following = STEPS[number + 1]
                if st.button(f"Next: {following.word}", type="primary"):
                    st.session_state[STEP] = number + 1
                    st.switch_page(f"views/{following.page}.py")
            if st.button("End the tour" if number + 1 == len(STEPS) else "Skip the tour"):
                st.session_state[STEP] = None
                st.rerun()


def again() -> None:
    """Start the tour from its first step."""
    st.session_state[STEP] = 0
