"""Both servers against pages of other sites: they answer to no foreign name, take no upload, and are shown in no frame."""

import http.client
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

from playwright.sync_api import Page

from tests.browser.conftest import Workbench
from tests.conftest import free_port


def ask(url: str, method: str, path: str, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(errors="replace")


def test_the_workbench_answers_to_its_own_names_only(workbench: Workbench) -> None:
    for path in ("/", "/_stcore/health", "/_stcore/host-config", "/labels?votes=/etc/passwd"):
        assert ask(workbench.url, "GET", path)[0] == 200
        status, words = ask(workbench.url, "GET", path, Host="evil.example")
        assert (status, "not called that" in words) == (403, True)
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert ask(workbench.url, "GET", "/_stcore/stream", Host="evil.example", **upgrade)[0] == 403
    own = urlsplit(workbench.url).netloc
    assert ask(workbench.url, "GET", "/_stcore/stream", Host=own, Origin="https://evil.example", **upgrade)[0] == 403


def test_the_workbench_takes_no_upload_of_another_site(workbench: Workbench) -> None:
    status, words = ask(workbench.url, "PUT", "/_stcore/upload_file/a/b", Origin="https://evil.example")
    assert (status, words) == (403, "Pages of other sites may not send anything to this server.")


class Frames(BaseHTTPRequestHandler):
    """A site that shows another one in a frame."""

    def __init__(self, shown: str, *rest: object) -> None:
        self.shown = shown
        super().__init__(*rest)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(f'<h1>Elsewhere</h1><iframe src="{self.shown}"></iframe>'.encode())

    def log_message(self, *_: object) -> None:
        pass


def test_another_site_cannot_show_the_workbench_in_a_frame(page: Page, workbench: Workbench) -> None:
    port = free_port()
    other = HTTPServer(("127.0.0.1", port), partial(Frames, workbench.url))
    threading.Thread(target=other.serve_forever, daemon=True).start()
    try:
        with page.expect_event("console", lambda message: "frame-ancestors" in message.text):
            page.goto(f"http://127.0.0.1:{port}/")
        frame = page.frames[1]
        assert frame.locator('[data-testid="stApp"]').count() == 0
    finally:
        other.shutdown()
        other.server_close()
