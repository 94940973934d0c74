"""What the students' app refuses: everything but its pages and its requests, and too many joins from one address."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

AT_ONCE = 40  # joins from one address; a class behind one router has one address
EACH = 3.0  # seconds after which an address may join once more
CLIENTS = 10_000  # remembered addresses; the oldest is forgotten first
LARGEST = 64 * 2**10  # bytes of a request
PAGES = re.compile(
    r"/|/(config|theme\.css|favicon\.ico|robots\.txt|manifest\.json|app_id|login_check)/?|/(static|assets|svelte)/.*"
    r"|/gradio_api/(info|startup-events|app_id|theme\.css|heartbeat/\w+)"
)
REQUESTS = re.compile(r"/gradio_api/run/(predict|join|look|poll|next|answer)/?|/gradio_api/reset/?")


class OnlyAnswers:
    """Middleware: no upload, no file, no queue, no proxy, nothing large; of Gradio's many routes only those that are used."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            reading = scope["method"] in ("GET", "HEAD")
            if not (PAGES if reading else REQUESTS).fullmatch(scope["path"]):
                await PlainTextResponse("Here one can only join a class and answer.", 404)(scope, receive, send)
                return
            size = Headers(scope=scope).get("content-length", "")
            if not reading and not (size.isdecimal() and int(size) <= LARGEST):
                await PlainTextResponse(f"A request has at most {LARGEST:,} bytes.", 413)(scope, receive, send)
                return
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "There is nothing here."})
            return
        await self.app(scope, receive, send)


class Allowance:
    """How often each address may try to join: `AT_ONCE` times, and then once every `EACH` seconds. Others are not affected."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # allowance, and when it was that
        self._lock = threading.Lock()

    def take(self, who: str) -> float:
        """Use one and return 0, or return the seconds until there is one again."""
        with self._lock:
            now = self.clock()
            left, at = self._left.pop(who, (float(AT_ONCE), now))
            left = min(AT_ONCE, left + (now - at) / EACH)
            self._left[who] = (left - 1 if left >= 1 else left, now)
            if len(self._left) > CLIENTS:
                self._left.popitem(last=False)
            return 0.0 if left >= 1 else (1 - left) * EACH
