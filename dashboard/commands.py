"""`ferscope open`, `ferscope live` and `ferscope class`: the command line finds them by their entry points in pyproject.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fer_core.classroom.address import PORT


def open_workbench(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8501,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. The workbench has no password and opens files of this machine: name another "
            "address only where you trust everybody who reaches it."
        ),
    ] = "localhost",
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
) -> None:
    """Open the workbench in the browser. Ctrl-C ends it; training runs continue."""
    from streamlit.web.cli import main  # brings the server, 2 s

    # Its other options are in .streamlit/config.toml beside the script. An address to show is always named: otherwise
    # Streamlit asks a server of the internet for this machine's.
    shown = "localhost" if host in ("0.0.0.0", "::") else host
    main([
        "run", str(Path(__file__).with_name("Home.py")), f"--server.port={port}", f"--server.address={host}",
        f"--browser.serverAddress={shown}", f"--server.headless={str(not browser).lower()}",
    ])  # fmt: skip


def live(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free port.")] = 7860,
    host: Annotated[
        str, typer.Option(help="Address to listen on. A password is needed unless only this machine reaches it.")
    ] = "127.0.0.1",
    share: Annotated[bool, typer.Option(help="Make a public Gradio link; needs a password.")] = False,
    password: Annotated[
        str, typer.Option(envvar="FERSCOPE_PASSWORD", help="Password for visitors, with any user name.")
    ] = "",
    certificate: Annotated[
        Path | None, typer.Option(help="PEM file with a certificate, for HTTPS. Cameras on other machines need it.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file with the certificate's key.")] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(help="Further host name of this machine, besides its own name and addresses. Can be repeated."),
    ] = None,
) -> None:
    """Open the live app: predict on photos, camera, videos and folders, and compare a private set with a benchmark."""
    from dashboard.live import launch  # brings gradio and torch, 6 s

    launch(port, host, share, password or None, certificate, key, name or ())


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
