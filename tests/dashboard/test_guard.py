"""What both servers refuse: names that are not theirs, and what pages of other sites send."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from dashboard.guard import Guard, Policy


async def answer(request):
    return PlainTextResponse("served")


async def talk(socket):
    await socket.accept()
    await socket.send_text("served")
    await socket.close()


def asking(policy: Policy, host: str = "localhost:8501") -> TestClient:
    routes = [Route("/", answer, methods=["GET", "POST", "PUT", "DELETE"]), WebSocketRoute("/ws", talk)]
    app = Starlette(routes=routes, middleware=[Middleware(Guard, policy=policy)])
    return TestClient(app, base_url=f"http://{host}")


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8501", "127.0.0.1:7860", "127.1.2.3", "[::1]:8501", "LOCALHOST."]
)
def test_this_machine_is_served_under_its_own_names(host):
    assert Policy.of("localhost").serves(host)


@pytest.mark.parametrize(
    "host",
    [None, "", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.7", "localhost:x", "a@localhost",
     "localhost/..", "localhost#", " localhost", "[::1", "0x7f.1.evil.example", "localhost, evil.example"],
)  # fmt: skip
def test_other_names_are_refused(host):
    assert not Policy.of("localhost").serves(host)


@given(st.text(max_size=40))
def test_no_text_breaks_the_look_at_a_host(host):
    Policy.of("0.0.0.0", ["*.lab.example"]).serves(host)


def test_a_server_for_others_has_the_machines_addresses_and_the_names_that_were_given():
    policy = Policy.of("0.0.0.0", ["fer.lab.example", "*.class.example"])
    for host in ("192.168.1.7:7860", "[2001:db8::1]:80", "fer.lab.example", "a.class.example:80", "localhost"):
        assert policy.serves(host), host
    for host in ("evil.example", "class.example.evil", "evilclass.example"):
        assert not policy.serves(host), host
    assert Policy.of("0.0.0.0", ["*"]).serves("anything.example")


def test_a_foreign_host_gets_nothing_by_http_or_websocket():
    client = asking(Policy.of("localhost"), "evil.example")
    refused = client.get("/")
    assert refused.status_code == 403
    assert "not called that" in refused.text
    with (
        pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)),
        client.websocket_connect("ws://evil.example/ws"),
    ):
        pass


def test_every_answer_says_what_may_be_in_the_page_and_who_may_frame_it():
    headers = asking(Policy.of("localhost", frames=("http://127.0.0.1:*",))).get("/").headers
    rules = dict(rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";"))
    assert rules["frame-ancestors"] == "'none'"
    assert headers["x-frame-options"] == "DENY"
    assert "http://127.0.0.1:*" in rules["frame-src"]
    assert rules["default-src"] == "'self'"
    assert rules["object-src"] == "'none'"
    assert "ws://localhost:8501" in rules["connect-src"]
    framed = asking(Policy.of("localhost", framers=("http://localhost:8501",))).get("/").headers
    assert framed["content-security-policy"].endswith("frame-ancestors http://localhost:8501")
    assert "x-frame-options" not in framed


@pytest.mark.parametrize(
    ("headers", "served"),
    [
        ({}, True),  # a script
        ({"origin": "http://localhost:8501", "sec-fetch-site": "same-origin"}, True),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "http://localhost:9999"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://[::1"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
    ],
)
def test_a_cross_site_upload_is_refused(headers, served):
    client = asking(Policy.of("localhost"))
    for send in (client.post, client.put):
        sent = send("/", headers=headers, files={"file": b"x"})
        assert (sent.status_code == 200) == served
    assert client.get("/", headers=headers).status_code == 200  # a link from anywhere may be followed


def test_a_websocket_of_another_origin_is_refused():
    client = asking(Policy.of("localhost"))
    with client.websocket_connect(
        "/ws", headers={"host": "localhost:8501", "origin": "http://localhost:8501"}
    ) as socket:
        assert socket.receive_text() == "served"
    with (
        pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)),
        client.websocket_connect("/ws", headers={"host": "localhost:8501", "origin": "http://evil.example"}),
    ):
        pass


def test_what_is_no_request_passes():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    # in a thread of its own: a browser test of this process may have left a loop that runs in this one
    with ThreadPoolExecutor(1) as threads:
        threads.submit(lambda: asyncio.run(Guard(app, Policy())({"type": "lifespan"}, None, None))).result()
    assert seen == ["lifespan"]
