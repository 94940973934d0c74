"""What both servers refuse before any page sees it, and the headers that they send with every answer.

A page of the whole internet runs in the browser that runs ours. It may not reach us under a name of its own (DNS rebinding:
its name points to this machine for a moment, and the browser takes us for it), not send us files or commands, and not show
us in a frame of its own.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL = ("127.0.0.1", "localhost", "::1")
READS = ("GET", "HEAD", "OPTIONS")
# Streamlit's and Gradio's pages hold scripts and styles in their text, and Vega and Gradio make functions of text.
CONTENT = (
    "default-src 'self'; base-uri 'self'; object-src 'none'; form-action 'self'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' data: blob: ws://{host} wss://{host}; frame-src 'self' data: blob:{frames}; frame-ancestors {framers}"
)


@dataclass(frozen=True)
class Reach:
    """Where a server listens, and how it is reached.

    Attributes:
        port: 0 takes the first free port from 7860.
        share: make a public Gradio link.
        certificate, key: PEM files for HTTPS; browsers allow the camera on other machines only over HTTPS.
        names: further host names of this machine, besides its own name and addresses. Requests for others are refused.
    """

    port: int = 0
    host: str = "127.0.0.1"
    share: bool = False
    certificate: Path | None = None
    key: Path | None = None
    names: Sequence[str] = ()

    @property
    def local(self) -> bool:
        """Whether only this machine reaches it."""
        return not self.share and self.host in LOCAL


@dataclass
class Policy:
    """Who is served under which name, and who frames whom.

    Attributes:
        hosts: names, besides this machine's own; “*.example.org” stands for all below a domain, “*” for any.
        addresses: whether any IP address is a name too. No other page can have one, so rebinding needs none.
        frames: origins that our pages show in a frame.
        framers: origins whose pages may show ours in a frame.
    """

    hosts: set[str] = field(default_factory=set)
    addresses: bool = False
    frames: tuple[str, ...] = ()
    framers: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, address: str, hosts: Iterable[str] = (), *, frames: Iterable[str] = (), framers: Iterable[str] = ()
    ) -> Policy:
        """The policy of a server that listens on an address: beyond this machine it has the machine's names too."""
        if address in LOCAL:
            return cls(set(hosts), False, tuple(frames), tuple(framers))
        name = socket.gethostname().lower()
        return cls({address.lower(), name, f"{name}.local", *hosts}, True, tuple(frames), tuple(framers))

    def serves(self, host: str | None) -> bool:
        """Whether a request's Host header names this server."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
            _ = urlsplit(f"//{host}").port  # a number, if there is one
        except ValueError:
            return False
        if not name or host != (host or "").strip() or set(host or "") & set("/?#@\\ "):
            return False
        if name == "localhost":
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return any(
                pattern in ("*", name) or (pattern.startswith("*.") and name.endswith(pattern[1:]))
                for pattern in map(str.lower, self.hosts)
            )
        return address.is_loopback or self.addresses or name in self.hosts


class Guard:
    """The middleware of both servers."""

    def __init__(self, app: ASGIApp, policy: Policy) -> None:
        self.app, self.policy = app, policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host")
        if not self.policy.serves(host):
            await _refuse(
                scope, receive, send, "This server is not called that. Open it by the address that it printed."
            )
        elif self._from_elsewhere(scope, headers):
            await _refuse(scope, receive, send, "Pages of other sites may not send anything to this server.")
        else:
            await self.app(scope, receive, lambda message: self._with_headers(message, send, host or ""))

    def _from_elsewhere(self, scope: Scope, headers: Headers) -> bool:
        """Whether a page of another origin sends something; programs other than browsers say nothing of an origin."""
        if scope["type"] == "http" and scope["method"] in READS:
            return False
        origin = headers.get("origin")
        if origin is not None:
            try:
                return urlsplit(origin).netloc.lower() != (headers.get("host") or "").lower()
            except ValueError:
                return True
        return headers.get("sec-fetch-site", "none") in ("cross-site", "same-site")

    async def _with_headers(self, message: Message, send: Send, host: str) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            policy = self.policy
            headers["Content-Security-Policy"] = CONTENT.format(
                host=host,
                frames="".join(f" {origin}" for origin in policy.frames),
                framers=" ".join(policy.framers) or "'none'",
            )
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
            headers.setdefault("Referrer-Policy", "no-referrer")
            headers["X-Content-Type-Options"] = "nosniff"
            if not policy.framers:
                headers["X-Frame-Options"] = "DENY"  # for browsers that do not know frame-ancestors
        await send(message)


async def _refuse(scope: Scope, receive: Receive, send: Send, why: str) -> None:
    if scope["type"] == "websocket":
        await receive()  # its opening
        await send({"type": "websocket.close", "code": 1008, "reason": why})
    else:
        await PlainTextResponse(why, status_code=403)(scope, receive, send)
