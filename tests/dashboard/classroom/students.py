"""Simulated students: real HTTP clients of a students' app that runs in a process of its own."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from fer_core.labels import FER7

PAGE = ("head", "told", "joining", "asking", "after", "face", "choice", "region", "sure", "position")
SERVER = """
import sys, threading
from dashboard.classroom.app import start
from dashboard.guard import Reach
with start(Reach(int(sys.argv[1]))):
    threading.Event().wait()
"""
CLIENT = httpx.Client(timeout=60, verify=False)  # a new one for each request would cost more than the request
PATIENCE = 120.0  # seconds for a server that starts on a busy machine


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def start_app(port: int) -> subprocess.Popen[bytes]:
    """The students' app on a port, answering."""
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(port)])
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            httpx.get(f"http://127.0.0.1:{port}/config", timeout=5)
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return process
    process.kill()
    raise RuntimeError("The students' app did not start.")


@contextmanager
def running(port: int) -> Iterator[subprocess.Popen[bytes]]:
    process = start_app(port)
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


@dataclass
class Pupil:
    """Somebody who answers as their habits make them: right with a probability, and with a bias for some expressions."""

    url: str
    name: str
    skill: float = 1.0
    habits: dict[str, str] = field(default_factory=dict)
    ticket: str = ""
    position: int = -1
    confirmed: dict[int, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    def ask(self, what: str, *data: Any) -> list[Any]:
        """A request, tried again while the server is away; its outputs."""
        end = time.monotonic() + PATIENCE
        while True:
            start = time.perf_counter()
            try:
                answer = CLIENT.post(f"{self.url}/gradio_api/run/{what}", json={"data": list(data)})
                answer.raise_for_status()
            except httpx.TransportError:  # not there at the moment
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
            else:
                self.seconds.append(time.perf_counter() - start)
                return list(answer.json()["data"])

    def see(self, page: list[Any]) -> str:
        """Take in a page; what it says."""
        shown = dict(zip(PAGE, page, strict=False))
        if isinstance(shown["position"], int | float):
            self.position = int(shown["position"])
        return str(shown["told"])

    def join(self, code: str) -> str:
        ticket, *page = self.ask("join", code, self.name, "")
        self.ticket = ticket if isinstance(ticket, str) else ""
        return self.see(page)

    def take_part(self, truth: list[str], seed: int, pause: Callable[[], None] = lambda: None) -> None:
        """Answer until there is nothing more to answer. An answer is confirmed once the next page has come."""
        random = np.random.default_rng(seed)
        while self.position >= 0:
            right = truth[self.position]
            choice = self.habits.get(right, right) if random.random() < self.skill else str(random.choice(FER7.names))
            asked = self.position
            said = self.see(self.ask("answer", self.ticket, asked, choice, "certain", ""))
            assert "problem" not in said, said
            self.confirmed[asked] = choice
            pause()
