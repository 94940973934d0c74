"""Long jobs of the tabs: a button that starts one, a button that stops it, and an endpoint for scripts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from gradio.components import Component

from dashboard.live import html

AT_ONCE = 2  # jobs of one kind that run at the same time; later ones wait


def buttons(label: str) -> tuple[gr.Button, gr.Button]:
    """Start, called `label`, and stop, side by side."""
    with gr.Row():
        return gr.Button(label, variant="primary"), gr.Button("Stop")


def on_click(
    both: tuple[gr.Button, gr.Button],
    job: Callable[..., Any],
    inputs: Sequence[Component],
    outputs: Sequence[Component],
    kind: str,
) -> None:
    """Let the two buttons start and stop a job.

    Args:
        job: a generator of values for `outputs`; the first output is an HTML with the progress.
        kind: jobs of one kind take turns.
    """
    run, stop = both
    event = run.click(
        job,
        list(inputs),
        list(outputs),
        api_visibility="private",
        show_progress="hidden",
        concurrency_limit=AT_ONCE,
        concurrency_id=kind,
    )
    stop.click(lambda: html.light("Stopped."), None, outputs[0], cancels=[event], api_visibility="private")


def endpoint(
    name: str,
    answer: Callable[..., Any],
    inputs: Sequence[Component],
    outputs: Component | Sequence[Component],
    kind: str,
    about: str | None = None,
) -> None:
    """Let scripts call a function by its name. The page has no button for it.

    Args:
        kind: as in `on_click`; scripts and pages wait in the same queue.
        about: the description in the API documentation; by default the docstring of the function.
    """
    gr.on(
        [], answer, list(inputs), outputs, api_name=name, api_description=about or answer.__doc__, concurrency_id=kind
    )
