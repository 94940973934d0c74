"""The door of the workbench for a class: nothing is served without a ticket, and each session gets its own workspace."""

from pathlib import Path

import pytest
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from dashboard.classroom.door import COOKIE, FORM, KEY, OnlyWithTicket
from dashboard.guard import Guard, Policy
from fer_core.classroom.workbench import door, place


@pytest.fixture
def client(workspace: Path) -> TestClient:
    """A browser before a server that says whose workspace it would open."""

    async def pages(scope: Scope, receive: Receive, send: Send) -> None:
        found = place(workspace, HTTPConnection(scope).cookies.get(COOKIE, ""))
        await PlainTextResponse(str(found))(scope, receive, send)

    app = Guard(OnlyWithTicket(pages, workspace), Policy({"testserver"}))
    return TestClient(app, follow_redirects=False)


def signed_in(client: TestClient, code: str, nickname: str, word: str = "") -> int:
    return client.post(FORM, data={"code": code, "nickname": nickname, "word": word}).status_code


def test_nothing_is_served_without_a_ticket(client: TestClient) -> None:
    assert client.get("/", headers={"accept": "text/html"}).headers["location"] == FORM
    assert client.get("/media/x.png").status_code == 401
    client.cookies.set(COOKIE, "ada-123456.forged")
    assert client.get("/_stcore/health").status_code == 401
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/_stcore/stream"):
        pass


def test_a_student_signs_in_and_has_a_workspace(client: TestClient, workspace: Path) -> None:
    code = door(workspace).code
    page = client.post(FORM, data={"code": code, "nickname": "Ada"})
    assert "Welcome, Ada" in page.text
    assert "httponly" in page.headers["set-cookie"].lower()
    assert page.headers["referrer-policy"] == "same-origin"  # else browsers hide where the form comes from
    mine = client.get("/").text
    assert Path(mine).parent == workspace / "students"
    client.cookies.clear()
    assert signed_in(client, code, "Ada") == 400  # taken
    assert signed_in(client, "WRONG", "Bo") == 400
    assert signed_in(client, code, "<script>") == 400
    assert signed_in(client, code, "Bo") == 200
    assert client.get("/").text != mine


def test_what_was_typed_is_shown_as_text(client: TestClient) -> None:
    page = client.get(FORM, params={"code": '"><script>'}).text
    assert "<script>" not in page
    page = client.post(FORM, data={"code": "x", "nickname": '"><b>x'}).text
    assert "<b>x" not in page


def test_the_teachers_address_opens_the_teachers_workspace(client: TestClient, workspace: Path) -> None:
    assert client.get(KEY, params={"key": "guessed"}).status_code == 403
    assert client.get(KEY, params={"key": door(workspace).key}).status_code == 303
    assert client.get("/").text == str(workspace)


def test_a_script_that_guesses_codes_is_slowed_down(client: TestClient) -> None:
    answers = [signed_in(client, "AAAAA", f"bot {number}") for number in range(42)]
    assert answers[0] == 400
    assert answers[-1] == 429
