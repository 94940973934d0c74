"""`ferscope open`, `ferscope live` and `ferscope class`: the command line finds them by their entry points in pyproject.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dashboard.guard import Reach
from fer_core.classroom.address import PORT

WORKBENCH_PORT = 8501

Certificate = Annotated[
    Path | None,
    typer.Option(
        help="PEM file with a certificate, for HTTPS. Browsers on other machines allow their camera only over HTTPS."
    ),
]
Key = Annotated[Path | None, typer.Option(help="PEM file with the certificate's key.")]
HostNames = Annotated[
    list[str] | None,
    typer.Option(help="Further host name of this machine, besides its own name and addresses. Can be repeated."),
]


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
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free port.")] = 7860,
    host: Annotated[
        str, typer.Option(help="Address to listen on. A password is needed unless only this machine reaches it.")
    ] = "127.0.0.1",
    share: Annotated[bool, typer.Option(help="Make a public Gradio link; needs a password.")] = False,
    password: Annotated[
        str, typer.Option(envvar="FERSCOPE_PASSWORD", help="Password for visitors, with any user name.")
    ] = "",
    certificate: Certificate = None,
    key: Key = None,
    name: HostNames = None,
) -> None:
    """Open the live app: predict on photos, camera, videos and folders, and compare a private set with a benchmark."""
    from dashboard.live import launch  # brings gradio and torch, 6 s

    launch(Reach(port, host, share, certificate, key, name or ()), password or None)


def students(
    workbench: Annotated[
        bool,
        typer.Option(
            help="Open the workbench instead, for a whole class: a workspace each, shared data and networks, and a fair queue."
        ),
    ] = False,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free port.")] = PORT,
    host: Annotated[
        str, typer.Option(help="Address to listen on; the default is reached by the whole network.")
    ] = "0.0.0.0",
    share: Annotated[bool, typer.Option(help="Make a public Gradio link, for students elsewhere.")] = False,
    certificate: Certificate = None,
    key: Key = None,
    name: HostNames = None,
) -> None:
    """Open the students' app for the classes that are started on the page “Class” of the workbench; or with --workbench the
    whole workbench, with a workspace for each student."""
    if workbench:
        _workbench_of_class(port if port != PORT else WORKBENCH_PORT, host, certificate, key, name or [])
        return
    import signal
    import threading
    from contextlib import suppress

    from dashboard.classroom.app import start
    from fer_core.classroom import address

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), start(Reach(port, host, share, certificate, key, name or ())):
        print(f"Students join at {address.known()}", flush=True)
        threading.Event().wait()
    print("Stopped.")


def _workbench_of_class(port: int, host: str, certificate: Path | None, key: Path | None, names: list[str]) -> None:
    """Open the workbench for a class, in this process."""
    import os

    from streamlit.web.cli import main

    from dashboard.classroom.door import FORM, KEY, SWITCH
    from fer_core.classroom.address import of_this_machine
    from fer_core.classroom.workbench import door
    from fer_core.workspace import home

    let_in = door(home())
    scheme = "https" if certificate else "http"
    reached = of_this_machine() if host in ("0.0.0.0", "::") else host
    print(f"Students open {scheme}://{reached}:{port}{FORM}?code={let_in.code} and choose a nickname.")
    print(f"The teacher opens {scheme}://localhost:{port}{KEY}?key={let_in.key} and tells nobody.", flush=True)
    os.environ[SWITCH] = "1"
    main([
        "run", str(Path(__file__).with_name("Home.py")), f"--server.port={port}", f"--server.address={host}",
        "--server.headless=true", *(f"--server.allowedHosts={one}" for one in names),
        *((f"--server.sslCertFile={certificate}", f"--server.sslKeyFile={key}") if certificate else ()),
    ])  # fmt: skip
