"""The password, and the delays that make guessing it slow."""

from __future__ import annotations

import ipaddress
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FREE = 5  # wrong passwords before the first wait
LONGEST_WAIT = 15 * 60.0  # seconds; each wrong password doubles the wait, from 2 seconds
FORGET = 60 * 60.0  # seconds without an attempt after which a client starts afresh
CLIENTS = 10_000  # remembered clients; the oldest is forgotten first


def gate(password: str) -> Callable[[str, str], bool]:
    """Whether a password is right, for any user name. The comparison takes the same time for every password."""
    return lambda user, given: secrets.compare_digest(given.encode(), password.encode())


@dataclass
class Attempts:
    """One client's wrong passwords, and the times (monotonic) of the last attempt and of the next one allowed."""

    wrong: int = 0
    last: float = 0.0
    not_before: float = 0.0


class Brake:
    """Middleware: each wrong password makes its client wait longer. An attempt counts as wrong until it proves right, so
    a hundred attempts at once do not get around the wait."""

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.monotonic) -> None:
        self.app, self.clock = app, clock
        self._clients: OrderedDict[str, Attempts] = OrderedDict()
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].rstrip("/").endswith("/login"):
            await self.app(scope, receive, send)
            return
        who = client(scope)
        if wait := self._begin(who):
            words = f"Too many wrong passwords. Try again in {wait:.0f} seconds."
            headers = {"Retry-After": f"{wait:.0f}"}
            await JSONResponse({"detail": words}, status_code=429, headers=headers)(scope, receive, send)
            return

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                with self._lock:
                    self._clients.pop(who, None)
            await send(message)

        await self.app(scope, receive, answered)

    def _begin(self, who: str) -> float:
        """Count an attempt and return 0, or return the seconds to wait (at least 1) before the next one."""
        with self._lock:
            now = self.clock()
            known = self._clients.pop(who, Attempts())
            if now - known.last > FORGET:
                known = Attempts()
            self._clients[who] = known
            if len(self._clients) > CLIENTS:
                self._clients.popitem(last=False)
            if now < known.not_before:
                return max(1.0, known.not_before - now)
            known.wrong, known.last = known.wrong + 1, now
            if known.wrong >= FREE:
                known.not_before = now + min(LONGEST_WAIT, 2.0 ** (known.wrong - FREE + 1))
            return 0.0


def client(scope: Scope) -> str:
    """The client of a request: its IPv4 address, or the /64 network of its IPv6 address, which belongs to one user."""
    name = (scope.get("client") or ("",))[0]
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return str(name)
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else name
