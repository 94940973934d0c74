"""Where the students' app can be reached: what it says in the workspace while it runs, for the page that shows it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from fer_core.classroom.session import folder
from fer_core.untrusted import read_json
from fer_core.workspace import write_atomically

NAME = "address.json"
PORT = 7870  # the usual one; students who are there already find the app again after a restart


@contextmanager
def announced(url: str) -> Iterator[None]:
    """Say that the app of this process is at an address, until the block ends."""
    path = folder() / NAME
    write_atomically(path, json.dumps({"url": url, "pid": os.getpid()}).encode())
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def known() -> str:
    """The address of the running app; “” where none runs."""
    try:
        said = read_json(folder() / NAME)
        url, pid = str(said["url"]), int(said["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return url if psutil.pid_exists(pid) else ""


def of_this_machine() -> str:
    """The address of this machine in its network; its name where it has none. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        try:
            way.connect(
                ("192.0.2.1", 9)
            )  # kept for documentation (RFC 5737): only asks which of our addresses leads out
            return str(way.getsockname()[0])
        except OSError:  # no network
            return socket.gethostname()
