"""A Gradio app in a process of its own, so that Gradio and torch stay out of the workbench's."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import IO

import streamlit as st

from fer_core.errors import RunError
from fer_core.workspace import start_folder

PATIENCE = 180  # seconds; importing torch and Gradio takes 5 on an idle machine and a minute on a busy one


@dataclass
class Server:
    """A running app. It ends when its standard input is closed: by `close`, or by the end of this process."""

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


@st.cache_resource(
    max_entries=2,  # the live app and the students'
    show_spinner="Starting the app (the first time takes a few seconds)",
    validate=Server.alive,
    on_release=Server.close,
)
def running(module: str, what: str, *arguments: str) -> Server:
    """The one app of this kind, which all sessions share: started where it does not run, when it has printed its address.

    Args:
        module: that is run, such as “dashboard.live”.
        what: the app in a message: “live app”.

    Raises:
        RunError: it ended, or did not answer in time.
    """
    output = tempfile.TemporaryFile()  # noqa: SIM115, closed with the server
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=start_folder(), stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT,
    )  # fmt: skip
    server = Server(process, output)
    give_up = time.monotonic() + PATIENCE
    while not server.url:
        if not server.alive() or time.monotonic() > give_up:
            happened = "ended" if not server.alive() else f"did not start within {PATIENCE} seconds"
            process.terminate()
            raise RunError(
                f"The {what} {happened}. Its output: {server.said()[-500:] or 'none'}. Reload the page to try again."
            )
        time.sleep(0.2)
        server.url = next((line for line in server.said().splitlines() if line.startswith("http")), "")
    return server
