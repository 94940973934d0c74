"""What goes wrong is printed with its place in the program and never with what a client sent."""

from __future__ import annotations

import logging
import sys
import traceback
from types import SimpleNamespace

import gradio.queueing
import gradio.routes


def place(error: BaseException | None) -> str:
    """“ValueError at photo.py, line 103 (predict)”: an error's message may quote a file's name or a typed text."""
    if error is None:
        return "An error without a trace."
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}, line {frames[-1].lineno} ({frames[-1].name})" if frames else ""
    return f"{type(error).__name__}{where}. What was sent is not printed."


class _NoValues(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.exc_info, tuple):
            record.msg, record.args = f"{record.getMessage()} {place(record.exc_info[1])}", ()
            record.exc_info = record.exc_text = None
        return True


def print_places_only() -> None:
    """Let Gradio and its server print an error's place in the stead of its message and trace."""
    said = SimpleNamespace(print_exc=lambda: print(place(sys.exc_info()[1]), file=sys.stderr))
    for module in (gradio.queueing, gradio.routes):
        vars(module)["traceback"] = said
    logger = logging.getLogger("uvicorn.error")
    if not any(isinstance(known, _NoValues) for known in logger.filters):
        logger.addFilter(_NoValues())
