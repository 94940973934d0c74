"""The live app against those who mean it no good: long lists, old uploads, guessed passwords, foreign names, quoted values."""

import os
import threading
import time
from functools import partial
from pathlib import Path

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboard import live
from dashboard.live import controls
from dashboard.live.login import CLIENTS, FREE, LONGEST_WAIT, Brake, client
from dashboard.live.uploads import sweep, swept
from fer_core.errors import ConfigError
from tests.untrained import untrained

TINY = {"widths": [4, 8, 8, 16]}
pytestmark = pytest.mark.one_workspace


@pytest.fixture(scope="module")
def home(home: Path) -> Path:
    for number in range(9):
        untrained(f"net-{number}", arguments=TINY)
    return home


@pytest.fixture(scope="module")
def served(home):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", "")
        with live.start(password="right", framers=("http://localhost:8501",)) as app:
            yield app


def test_a_list_of_one_network_500_times_is_that_network_once():
    controls._network.cache_clear()
    assert len(controls.predictor(["net-1"] * 500).members) == 1
    both = controls.predictor(["net-1", "net-2"] * 250)
    assert [member.card.name for member in both.members] == ["net-1", "net-2"]
    assert both.members[0] is controls.predictor(["net-1"]).members[0]  # loaded once, however it is combined


def test_long_and_odd_lists_of_networks_are_refused():
    with pytest.raises(ConfigError, match="9 networks are too many"):
        controls.predictor([f"net-{number}" for number in range(9)])
    for odd in ("net-1", {"net-1": 1}, [1], [["net-1"]], 7):
        with pytest.raises(ConfigError, match="must be a list of names"):
            controls.predictor(odd)


def test_what_was_loaded_is_bounded_however_many_combinations_are_asked_for():
    for first in range(9):
        for second in range(9):
            controls.predictor([f"net-{first}", f"net-{second}"])
    known = controls._network.cache_info()
    assert known.currsize <= known.maxsize == 2 * controls.MOST
    assert known.currsize == 9


def test_old_uploads_go_and_young_ones_stay(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "old.png").write_bytes(b"x")
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert sweep(tmp_path, kept=60) == 0
    time.sleep(0.02)
    assert sweep(tmp_path, kept=0.01) == 2
    assert Path("/etc/passwd").exists()
    time.sleep(0.02)  # a folder is as young as what was deleted in it
    sweep(tmp_path, kept=0.01)
    time.sleep(0.02)
    sweep(tmp_path, kept=0.01)
    assert list(tmp_path.iterdir()) == []


def test_the_examples_of_an_app_outlive_every_sweep(monkeypatch):
    """They lie among the uploads. Fifteen minutes after the start, the workbench showed broken images instead of faces."""
    from dashboard.live import app as served_app

    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    monkeypatch.setattr(served_app, "swept", partial(swept, every=0.01, kept=0.0))
    with live.start() as app:
        uploads = Path(os.environ["GRADIO_TEMP_DIR"])
        (uploads / "somebodys.png").write_bytes(b"x")
        end = time.monotonic() + 30
        while (uploads / "somebodys.png").exists():
            assert time.monotonic() < end, "nothing is swept"
            time.sleep(0.02)
        examples = [path for path in uploads.rglob("*") if path.is_file()]
        assert len(examples) >= 8
        for path in examples:
            assert httpx.get(f"{app.local_url}gradio_api/file={path}", timeout=60).status_code == 200


def test_the_sweep_lives_while_files_come_and_go_under_load(tmp_path):
    over = threading.Event()

    def come_and_go(number: int) -> None:
        count = 0
        while not over.is_set():
            folder = tmp_path / f"{number}-{count % 7}"
            try:
                folder.mkdir(exist_ok=True)
                (folder / f"{count}.png").write_bytes(b"x" * 100)
                if count % 3 == 0:
                    (folder / f"{count}.png").unlink(missing_ok=True)
            except (FileNotFoundError, FileExistsError):  # the sweep took the folder in this moment
                pass
            count += 1

    threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(8)]
    with swept(tmp_path, every=0.001, kept=0.2):
        for thread in threads:
            thread.start()
        time.sleep(2)
        assert any(thread.name == "sweep" and thread.is_alive() for thread in threading.enumerate())
        over.set()
        for thread in threads:
            thread.join()
        end = time.monotonic() + 30
        while any(files for *_, files in os.walk(tmp_path)):  # folders may vanish while it looks
            assert time.monotonic() < end, "the sweep has ended"
            time.sleep(0.05)
    assert not any(thread.name == "sweep" for thread in threading.enumerate())


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def guarded(clock: Clock) -> TestClient:
    async def login(request):
        form = await request.form()
        return PlainTextResponse("", status_code=200 if form["password"] == "right" else 400)

    app = Starlette(routes=[Route("/login", login, methods=["POST"])], middleware=[Middleware(Brake, clock=clock)])
    return TestClient(app)


def test_wrong_passwords_wait_longer_and_longer_and_the_right_one_begins_anew():
    clock = Clock()
    ask = guarded(clock)

    def attempt(password: str) -> int:
        return ask.post("/login", data={"password": password}).status_code

    assert [attempt("wrong") for _ in range(FREE)] == [400] * FREE
    refused = ask.post("/login", data={"password": "right"})
    assert refused.status_code == 429  # also the right one: it may be a guess
    assert refused.headers["retry-after"] == "2"
    assert "Try again in 2 seconds" in refused.json()["detail"]
    waits = []
    for _ in range(14):
        clock.now += float(ask.post("/login", data={"password": "x"}).headers["retry-after"])
        assert attempt("wrong") == 400
        waits.append(float(ask.post("/login", data={"password": "x"}).headers["retry-after"]))
    assert waits[:4] == [4, 8, 16, 32]
    assert waits[-1] == LONGEST_WAIT
    clock.now += LONGEST_WAIT
    assert attempt("right") == 200
    assert [attempt("wrong") for _ in range(FREE)] == [400] * FREE


def test_attempts_at_once_are_no_way_around_the_brake_and_the_memory_of_clients_is_bounded():
    brake = Brake(None, Clock())
    assert [brake._begin("one") > 0 for _ in range(50)].count(False) == FREE
    for number in range(2 * CLIENTS):
        brake._begin(str(number))
    assert len(brake._clients) <= CLIENTS


def test_a_persons_many_ipv6_addresses_are_one_client():
    one, other = ({"client": (f"2001:db8::{end}", 1)} for end in ("1", "ffff"))
    assert client(one) == client(other) != client({"client": ("2001:db8:0:1::1", 1)})
    assert client({"client": ("10.0.0.1", 1)}) != client({"client": ("10.0.0.2", 1)})


def test_the_server_brakes_logins_and_refuses_foreign_names_and_cross_site_uploads(served):
    url = served.local_url.rstrip("/")
    page = httpx.get(url + "/")
    assert page.headers["content-security-policy"].endswith("frame-ancestors http://localhost:8501")
    assert httpx.get(url + "/", headers={"Host": "evil.example"}).status_code == 403
    evil = {"Origin": "https://evil.example"}
    assert httpx.post(url + "/gradio_api/upload", headers=evil, files={"files": b"x"}).status_code == 403
    tried = [httpx.post(url + "/login", data={"username": "u", "password": f"guess-{n}"}).status_code for n in range(7)]
    assert tried == [400] * FREE + [429] * 2


def test_nothing_that_a_client_sends_is_printed(home, capfd, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    secret = "my-private-words"
    with live.start() as app:
        asks = Client(app.local_url, verbose=False)
        for networks, detector in ((["net-1"], secret), ([secret], "mtcnn"), ({"a": secret}, "none"), (secret, "none")):
            with pytest.raises((AppError, ValueError)):
                asks.predict(None, networks, detector, "card", 0.4, api_name="/predict")
        url = app.local_url.rstrip("/")
        httpx.post(url + "/gradio_api/call/predict", content=b'{"data": [' + secret.encode())
        httpx.get(f"{url}/gradio_api/file=/{secret}")
        httpx.get(f"{url}/?network={secret}")
    printed = capfd.readouterr()
    assert secret not in printed.out + printed.err
    assert not os.environ["GRADIO_TEMP_DIR"] or not Path(os.environ["GRADIO_TEMP_DIR"]).exists()


def test_no_room_for_temporary_files_is_a_sentence(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/proc/no-room-here")
    with pytest.raises(ConfigError, match="Temporary files cannot be written"), live.start():
        pass
