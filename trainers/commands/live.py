"""`ferscope live`."""

from __future__ import annotations

from typing import Annotated

import typer

from trainers.console import app


@app.command()
def live(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 7860,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but this machine needs a password.")
    ] = "127.0.0.1",
    share: Annotated[bool, typer.Option(help="Make a public Gradio link; needs a password.")] = False,
    password: Annotated[str, typer.Option(envvar="FERSCOPE_PASSWORD", help="For user “ferscope”.")] = "",
) -> None:
    """Open the live app: photos and camera."""
    from dashboard.live import launch

    launch(port=port, host=host, share=share, password=password or None)
