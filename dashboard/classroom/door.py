"""The door of the workbench for a class: whoever has no ticket gets a form, and each session the workspace of its ticket.

The ticket is a cookie that scripts cannot read. `fer_core.classroom.workbench` knows which workspace it opens.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

import streamlit as st
from starlette.datastructures import URL
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.classroom.limits import LARGEST, Allowance
from dashboard.markup import TEMPLATES
from fer_core.classroom.workbench import TEACHER, enter, place
from fer_core.errors import ClassError

SWITCH = "FERSCOPE_CLASS"  # set by `ferscope class --workbench` for the server that it starts
COOKIE = "ferscope-class"
FORM, KEY = "/class-door", "/class-teacher"
WEEKS = 26 * 7 * 24 * 3600  # seconds that a browser keeps its ticket: a term


class OnlyWithTicket:
    """Middleware: everything but the form needs a ticket."""

    def __init__(self, app: ASGIApp, teacher: Path) -> None:
        self.app, self.teacher = app, teacher
        self.joins = Allowance()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        asked = HTTPConnection(scope)
        if scope["type"] == "http" and scope["path"] in (FORM, KEY):
            answer = await self._form(Request(scope, receive)) if scope["path"] == FORM else self._key(Request(scope))
            await answer(scope, receive, send)
        elif place(self.teacher, asked.cookies.get(COOKIE, "")) is not None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()  # its opening
            await send({"type": "websocket.close", "code": 1008, "reason": "Sign in first."})
        elif "text/html" in asked.headers.get("accept", ""):
            await RedirectResponse(FORM, 303)(scope, receive, send)
        else:
            await PlainTextResponse("Sign in first.", 401)(scope, receive, send)

    async def _form(self, request: Request) -> Response:
        if request.method != "POST":
            return _page(code=request.query_params.get("code", ""))
        size = request.headers.get("content-length", "")
        if not (size.isdecimal() and int(size) <= LARGEST):
            return PlainTextResponse(f"A request has at most {LARGEST:,} bytes.", 413)
        values = parse_qs((await request.body()).decode(errors="replace"))
        code, nickname, word = (values.get(name, [""])[0] for name in ("code", "nickname", "word"))
        if seconds := self.joins.take(request.client.host if request.client else ""):
            return _page(code, nickname, f"Too many people sign in at once. Try again in {seconds:.0f} s.", status=429)
        try:
            desk = enter(self.teacher, code, nickname, word)
        except ClassError as error:
            return _page(code, nickname, str(error), status=400)
        answer = _page(nickname=desk.nickname, word=desk.word)
        _keep(answer, desk.ticket, request.url)
        return answer

    def _key(self, request: Request) -> Response:
        ticket = f"{TEACHER}.{request.query_params.get('key', '')}"
        if self.joins.take(request.client.host if request.client else "") or place(self.teacher, ticket) is None:
            return PlainTextResponse("This is not the teacher's address. Open the one that the command printed.", 403)
        answer = RedirectResponse("/class", 303)
        _keep(answer, ticket, request.url)
        return answer


def of_session(teacher: Path) -> Path:
    """The workspace of the session that runs now.

    Raises:
        ClassError: it has no ticket, or its workspace was deleted.
    """
    found = place(teacher, st.context.cookies.get(COOKIE, ""))
    if found is None:
        raise ClassError("Nobody is signed in here. Reload the page and sign in.")
    return found


def _page(code: str = "", nickname: str = "", error: str = "", word: str = "", status: int = 200) -> Response:
    text = TEMPLATES.get_template("door.html").render(
        code=code[:20], nickname=nickname[:60], error=error, word=word, form=FORM
    )
    # with “no-referrer” a browser sends the form without its origin, and the guard refuses it
    return HTMLResponse(text, status, {"Referrer-Policy": "same-origin"})


def _keep(answer: Response, ticket: str, url: URL) -> None:
    answer.set_cookie(COOKIE, ticket, WEEKS, httponly=True, samesite="strict", secure=url.scheme == "https")
