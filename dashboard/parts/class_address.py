"""Where students join: the app's address and its QR code, and the button that starts the app."""

from __future__ import annotations

import io

import segno
import streamlit as st

from dashboard.app_process import running
from fer_core.classroom import address
from fer_core.classroom.session import Session

SCALE = 8  # pixels of a square of the code


def link(session: Session) -> str:
    """The address with the code filled in; “” while the app does not run, and then the page offers to open it."""
    if not (url := address.known()):
        st.info(
            "The students' app is not open. It can be reached by everybody in this network, and lets them join this class and "
            "answer, nothing else. For a link that works from everywhere, run `ferscope class --share` in a terminal."
        )
        if st.button("Open the students' app", type="primary"):
            running("dashboard.classroom", "students' app")
            st.rerun()
        return ""
    return f"{url}?code={session.code}"


def qr_code(text: str) -> bytes:
    """A QR code as a PNG file, with the white edge that cameras need on a dark page too."""
    drawn = io.BytesIO()
    segno.make(text, error="m").save(drawn, kind="png", scale=SCALE, border=3)
    return drawn.getvalue()
