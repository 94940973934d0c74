"""The tabs put together, and the server: who may reach it, how it starts and how it ends."""

from __future__ import annotations

import os
import secrets
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
from starlette.middleware import Middleware

from dashboard.guard import LOCAL, Guard, Policy, Reach
from dashboard.live import camera, compare, controls, folder, photo, teach, video
from dashboard.live.login import Brake, gate
from dashboard.live.silence import print_places_only
from dashboard.live.theme import CSS, HEAD, ROUTES, THEME
from dashboard.live.uploads import MAX_UPLOAD, swept
from fer_core.errors import ConfigError

QUEUE = 100  # waiting requests; later ones are asked to try again
THREADS = 40
LOCALLY = Reach()


def build(*, local: bool = True) -> gr.Blocks:
    """The app, not started yet. `start` adds theme and style.

    Args:
        local: only this machine reaches the app. Otherwise it shows no images of this machine's data sets.
    """
    app = gr.Blocks(title="FERscope live", analytics_enabled=False, fill_width=True)
    with app:
        chosen = controls.draw()
        with gr.Tab("Photo"):
            photo.draw(chosen)
        with gr.Tab("Camera"):
            camera.draw(chosen)
        with gr.Tab("Teach"):
            teach.draw(chosen)
        with gr.Tab("Video"):
            video.draw(chosen)
        with gr.Tab("Folder"):
            folder.draw(chosen)
        with gr.Tab("Compare"):
            compare.draw(chosen, local=local)
        app.load(controls.refreshed, outputs=chosen.networks, api_visibility="private", show_progress="hidden")
    app.queue(max_size=QUEUE)
    return app


@contextmanager
def start(reach: Reach = LOCALLY, *, password: str | None = None, framers: Sequence[str] = ()) -> Iterator[gr.Blocks]:
    """The app, running at `.local_url` (and `.share_url`) until the block ends. Its temporary files are deleted then.

    Args:
        password: if given, visitors need it, with any user name.
        framers: origins whose pages may show the app in a frame: the workbench's.

    Raises:
        ConfigError: the port is taken, the certificate cannot be used, there is no space for temporary files, or others
            could reach the app without a password.
    """
    if not reach.local and not password:
        how = "shared link" if reach.share else reach.host
        raise ConfigError(f"Others could reach the live app ({how}). Set a password.")
    with served(
        lambda: build(local=reach.local), reach, framers=framers,
        middleware=[Middleware(Brake)], max_file_size=MAX_UPLOAD, css=CSS, head=HEAD, footer_links=["api"],
        auth=gate(password) if password else None,
        auth_message="Enter any user name, and the password that was printed when the app started.",
    ) as app:  # fmt: skip
        yield app


@contextmanager
def served(
    build: Callable[[], gr.Blocks],
    reach: Reach,
    *,
    framers: Sequence[str] = (),
    middleware: Sequence[Middleware] = (),
    **settings: Any,
) -> Iterator[gr.Blocks]:
    """A Gradio app behind the guard of both servers, until the block ends.

    Args:
        build: makes the app, not started yet.
        middleware: of this app, behind the guard.
        settings: of Gradio's `launch`.

    Raises:
        ConfigError: the port is taken, the certificate cannot be used, or there is no space for temporary files.
    """
    if (reach.certificate is None) != (reach.key is None):
        raise ConfigError("HTTPS needs a certificate and its key. Give both --certificate and --key.")
    for file in filter(None, (reach.certificate, reach.key)):
        if not file.is_file():
            raise ConfigError(f"{file} does not exist. Give the PEM files of a certificate and of its key.")
    print_places_only()
    policy = Policy.of(reach.host, reach.names, framers=framers)
    with _temporary() as folder:
        os.environ["GRADIO_TEMP_DIR"] = str(folder / "uploads")  # components ask for it when they are made
        app = build()
        try:
            app.launch(
                server_name=reach.host,
                server_port=reach.port or None,
                share=reach.share,
                max_threads=THREADS,
                ssl_certfile=str(reach.certificate) if reach.certificate else None,
                ssl_keyfile=str(reach.key) if reach.key else None,
                ssl_verify=False,  # concerns only the program's request to itself; a LAN's certificate is often self-signed
                theme=THEME,
                run_history=False,
                enable_monitoring=False,
                app_kwargs={"middleware": [Middleware(Guard, policy=policy), *middleware], "routes": [*ROUTES]},
                ssr_mode=False,
                mcp_server=False,
                _frontend=False,  # otherwise a request to itself that takes over three seconds, on a busy machine, ends it
                prevent_thread_lock=True,
                quiet=True,
                **settings,
            )
        except OSError as error:
            raise ConfigError(
                f"The port {reach.port or 'range from 7860'} on {reach.host} cannot be used ({error}). Choose another port"
                + (" and check the certificate." if reach.certificate else ".")
            ) from error
        if app.share_url:
            policy.hosts.add(urlsplit(app.share_url).hostname or "")
        try:
            with swept(folder / "uploads"):
                yield app
        finally:
            app.close(verbose=False)


@contextmanager
def _temporary() -> Iterator[Path]:
    """A folder for uploads and results. It is deleted when the program ends."""
    try:
        made = tempfile.TemporaryDirectory(prefix="ferscope-live-", ignore_cleanup_errors=True)
        Path(made.name, "uploads").mkdir()
    except OSError as error:
        raise ConfigError(
            f"Temporary files cannot be written ({error.strerror}: {tempfile.gettempdir()}). Free some space, or set TMPDIR to "
            "another folder."
        ) from error
    with made as folder:
        yield Path(folder)


def launch(reach: Reach = LOCALLY, password: str | None = None) -> None:
    """Run the app until Ctrl-C or `kill`, and print its address: `ferscope live`.

    A shared link, and any address that others reach, needs a password. If none is given, one is generated and printed.

    Raises:
        ConfigError: as `start`.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not reach.local and not password:
        password = secrets.token_urlsafe(9)
    with suppress(KeyboardInterrupt), start(reach, password=password) as app:
        for url in (app.local_url, app.share_url):
            if url:
                print(f"The live app is at {url}", flush=True)
        if password:
            print(f"Password (with any user name): {password}", flush=True)
        if reach.host not in LOCAL and reach.certificate is None:
            print("Browsers on other machines allow the camera only over HTTPS: see --certificate.", flush=True)
        threading.Event().wait()
    print("Stopped.")
