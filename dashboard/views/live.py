"""Live: try a network on your own images.

The Gradio app of `dashboard.live` runs in a process of its own, so that Gradio and torch stay out of this one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import IO
from urllib.parse import urlencode, urlsplit

import streamlit as st

from dashboard import pickers
from dashboard.guard import LOCAL
from fer_core.errors import RunError
from fer_core.glossary import explained
from fer_core.workspace import start_folder

PATIENCE = 180  # seconds; importing torch and Gradio takes 5 on an idle machine and a minute on a busy one
HEIGHT = 1900  # pixels, for all that Live shows in a narrow window: it has no scroll bar of its own


@dataclass
class Server:
    """A running live app. It ends when its standard input is closed: by `close`, or by the end of this process."""

    process: subprocess.Popen[bytes]
    output: IO[bytes]  # a file: a pipe that nobody reads would stop it some day
    url: str = ""

    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.output.close()

    def said(self) -> str:
        self.output.seek(0)
        return self.output.read().decode(errors="replace")


def origins() -> list[str]:
    """What the workbench's own address may be on this machine: only its pages may show the live tab in a frame."""
    scheme = "https" if st.get_option("server.sslCertFile") else "http"
    return [f"{scheme}://{name}:{st.get_option('server.port')}" for name in ("localhost", "127.0.0.1")]


@st.cache_resource(
    max_entries=1,
    show_spinner="Starting the live app (the first time takes a few seconds)",
    validate=Server.alive,
    on_release=Server.close,
)
def server() -> Server:
    """The one live app that all sessions share.

    Raises:
        RunError: it ended, or did not answer in time.
    """
    output = tempfile.TemporaryFile()  # noqa: SIM115, closed with the server
    process = subprocess.Popen(
        [sys.executable, "-m", "dashboard.live", *origins()],
        cwd=start_folder(), stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT,
    )  # fmt: skip
    started = Server(process, output)
    give_up = time.monotonic() + PATIENCE
    while not started.url:
        if not started.alive() or time.monotonic() > give_up:
            what = "ended" if not started.alive() else f"did not start within {PATIENCE} seconds"
            process.terminate()
            raise RunError(
                f"The live app {what}. Its output: {started.said()[-500:] or 'none'}. Reload the page to try again."
            )
        time.sleep(0.2)
        started.url = next((line for line in started.said().splitlines() if line.startswith("http")), "")
    return started


st.title("Live: try a network on your own images", help=explained("Face detector", "Confidence", "Energy distance"))
picked = pickers.picked()
query = {"network": picked.checkpoint.name if picked else "", "__theme": st.context.theme.type or "light"}
address = f"{server().url}?{urlencode(query)}"
names = (urlsplit(st.context.url or "//localhost").hostname, st.get_option("server.address"))
if not set(names) <= set(LOCAL):
    st.info(
        "The live app works only on the machine that runs FERscope, outside a container. To use it from elsewhere, run "
        "`ferscope live --host 0.0.0.0`."
    )
st.markdown(f"Try a network on your photos, camera, video or test set. [Open in a new tab]({address}).")
st.iframe(address, height=HEIGHT, alt="Live app")
