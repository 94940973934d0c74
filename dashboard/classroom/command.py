"""`ferscope class`: the command line finds it by its entry point in pyproject.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fer_core.classroom.address import PORT


def students(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free port.")] = PORT,
    host: Annotated[
        str, typer.Option(help="Address to listen on; the default is reached by the whole network.")
    ] = "0.0.0.0",
    share: Annotated[bool, typer.Option(help="Make a public Gradio link, for students elsewhere.")] = False,
    certificate: Annotated[Path | None, typer.Option(help="PEM file with a certificate, for HTTPS.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file with the certificate's key.")] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(help="Further host name of this machine, besides its own name and addresses. Can be repeated."),
    ] = None,
) -> None:
    """Open the students' app for the classes that are started on the page “Class” of the workbench."""
    import signal
    import threading
    from contextlib import suppress

    from dashboard.classroom.app import start
    from fer_core.classroom import address

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), start(
        port, host, share=share, certificate=certificate, key=key, names=name or ()
    ):  # fmt: skip
        print(f"Students join at {address.known()}", flush=True)
        threading.Event().wait()
    print("Stopped.")
