"""Live: try a network on your own images.

The Gradio app of `dashboard.live` runs in a process of its own, so that Gradio and torch stay out of this one.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode, urlsplit

import streamlit as st

from dashboard import pickers
from dashboard.app_process import running
from dashboard.guard import LOCAL
from fer_core import workspace
from fer_core.glossary import explained

SCRIPT = Path(__file__).parents[1] / "live_frame.js"
HEIGHT = 900  # pixels, until the app has said how high it is


def origins() -> list[str]:
    """What the workbench's own address may be on this machine: only its pages may show the live tab in a frame."""
    scheme = "https" if st.get_option("server.sslCertFile") else "http"
    return [f"{scheme}://{name}:{st.get_option('server.port')}" for name in ("localhost", "127.0.0.1")]


st.title("Live: try a network on your own images", help=explained("Face detector", "Confidence", "Energy distance"))
if workspace.student():
    st.info(
        "Live belongs to the teacher's machine. Your own photos are predicted in the app that `ferscope live` opens there."
    )
    st.stop()
picked = pickers.picked()
query = {"network": picked.checkpoint.name if picked else "", "__theme": st.context.theme.type or "light"}
address = f"{running('dashboard.live', 'live app', *origins()).url}?{urlencode(query)}"
names = (urlsplit(st.context.url or "//localhost").hostname, st.get_option("server.address"))
if not set(names) <= set(LOCAL):
    st.info(
        "The live app works only on the machine that runs FERscope, outside a container. To use it from elsewhere, run "
        "`ferscope live --host 0.0.0.0`."
    )
st.markdown(
    "Try a network on your photos, camera, video or test set, or teach it your own face. Press F for a presentation. "
    f"[Open in a new tab]({address})."
)
st.iframe(address, height=HEIGHT, alt="Live app")
st.html(f"<script>{SCRIPT.read_text(encoding='utf-8')}</script>", unsafe_allow_javascript=True)
