"""The students' app over HTTP: twenty at once, a server that is killed, a script that crowds in, and what is refused."""

import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from dashboard.classroom.limits import AT_ONCE, EACH, Allowance
from fer_core.classroom import address, people
from fer_core.classroom.session import Session
from fer_core.labels import FER7
from tests.dashboard.classroom.students import Pupil, free_port, running, start_app
from tests.fer_core.classroom.test_session import item

pytestmark = [pytest.mark.process, pytest.mark.one_workspace]


@pytest.fixture(scope="module")
def url(home: Path) -> Iterator[str]:
    port = free_port()
    with running(port):
        yield f"http://127.0.0.1:{port}"


def class_of(truth: list[str], task: str = "read") -> Session:
    right = {name: 0.7 if name == "happy" else 0.05 for name in FER7.names}
    return Session.create(
        "7b", task, [item(at, one, probs=right) for at, one in enumerate(truth)], FER7.names, network="Net"
    )


def test_twenty_students_lose_no_answer_when_the_server_is_killed() -> None:
    truth = [str(name) for name in np.random.default_rng(0).choice(FER7.names, 10)]
    session, port = class_of(truth), free_port()
    server = start_app(port)
    url = f"http://127.0.0.1:{port}"
    biased = {"sad": "neutral", "fear": "surprise"}
    pupils = [Pupil(url, f"Pupil {n}", 0.9, biased if n % 2 else {}) for n in range(20)]
    again: list[subprocess.Popen[bytes]] = []

    def take_part(number: int) -> None:
        pupils[number].join(session.code)
        pupils[number].take_part(truth, number)

    try:
        with ThreadPoolExecutor(21) as pool:
            done = [pool.submit(take_part, number) for number in range(20)]

            def kill_in_the_middle() -> None:
                while sum(len(pupil.confirmed) for pupil in pupils) < 60:
                    assert not all(one.done() for one in done)
                    time.sleep(0.02)
                server.kill()
                server.wait(30)
                again.append(start_app(port))

            pool.submit(kill_in_the_middle).result()
            for one in done:
                one.result()
    finally:
        for process in (server, *again):
            process.kill()
            process.wait(30)
    kept = session.answers()
    given = {(row["nickname"], row["position"]): row["choice"] for _, row in kept.iterrows()}
    assert len(kept) == len(given) == 20 * 10
    assert given == {(pupil.name, at): choice for pupil in pupils for at, choice in pupil.confirmed.items()}
    (table,) = people.predictions(session).values()
    votes = pd.crosstab(kept["position"], kept["choice"]).reindex(columns=FER7.names, fill_value=0).to_numpy()
    assert np.allclose(table.probs, votes / 20, atol=1e-6)


def test_a_student_reloads_comes_back_elsewhere_and_sees_the_answers(url: str) -> None:
    session = class_of(["happy", "sad"])
    ada = Pupil(url, "Ada")
    word = re.search("return word is (....)", ada.join(session.code))
    assert word is not None
    ada.see(ada.ask("answer", ada.ticket, 0, "sad", "certain", ""))
    assert ada.position == 1
    assert "is taken" in Pupil(url, "ada").join(session.code)
    phone = Pupil(url, "ADA")
    phone.ticket, *page = phone.ask("join", session.code, "ADA", word[1])
    phone.see(page)
    assert (phone.ticket, phone.position) == (ada.ticket, 1)
    assert "first" in ada.see(ada.ask("answer", ada.ticket, 1, "sad", None, ""))  # how sure is missing
    for _ in range(2):  # pressed twice
        ada.see(ada.ask("answer", ada.ticket, 1, "sad", "a guess", ""))
    assert ada.position == -1
    session.turn("revealed")
    results = str(ada.ask("look", ada.ticket)[11])
    assert "right on 1 of 2 images" in results
    assert "Net is right on 1 of 2" in results
    session.delete()
    assert "no class with the code" in ada.see(ada.ask("look", ada.ticket))


@pytest.mark.parametrize("choice", ["hungry", "", None, 7, ["happy"], {"a": 1}, "x" * 10_000])
@pytest.mark.parametrize("position", [0, 99, -1, None, "0", [0]])
def test_what_is_no_answer_is_refused_in_a_sentence(url: str, choice: object, position: object) -> None:
    session = class_of(["happy"])
    ada = Pupil(url, "Ada")
    ada.ticket = f"{session.code}-{session.join('Ada').token}"
    session.question(ada.ticket.partition("-")[2])
    assert "problem" in ada.see(ada.ask("answer", ada.ticket, position, choice, "certain", ""))
    assert "problem" in ada.see(ada.ask("answer", {"no": "ticket"}, 0, "happy", "certain", ""))
    assert len(session.answers()) == 0
    session.delete()


def left_alone(page: list[Any]) -> bool:
    """Whether an answer changes nothing of a page."""
    return all(
        part in ({"__type__": "update"}, {"__type__": "update", "props": {"__type__": "update"}}) for part in page
    )


def test_a_page_that_comes_late_takes_nothing_back(url: str) -> None:
    """The browser asks every three seconds; the answer may overtake, or come after, the page of a click."""
    session = class_of(["happy", "sad"])
    ada = Pupil(url, "Ada")
    ada.join(session.code)
    assert left_alone(ada.ask("poll", ada.ticket, ""))  # asked before the page of the join had come
    ada.see(ada.ask("answer", ada.ticket, 0, "sad", "certain", ""))
    assert left_alone(ada.ask("poll", ada.ticket, f"{session.code} 0"))  # asked before the answer had come
    session.turn("paused")
    assert "paused" in str(ada.ask("poll", ada.ticket, f"{session.code} 1"))  # what the teacher does comes through
    session.delete()


def test_what_is_revealed_of_a_guess_stays_until_the_student_goes_on(url: str) -> None:
    told = {"probs": {"happy": 0.9, "sad": 0.1}, "region": "mouth", "share": 0.4, "trust": "It can."}
    items = [replace(item(at, one, **told), map=b"png") for at, one in enumerate(("happy", "sad"))]
    session = Session.create("7b", "guess", items, FER7.names, network="Net")
    ada = Pupil(url, "Ada")
    ada.join(session.code)
    page = ada.ask("answer", ada.ticket, 0, "sad", "certain", "mouth")
    assert "the network predicts" in str(page[10])
    assert left_alone(ada.ask("poll", ada.ticket, page[-1]))
    ada.see(ada.ask("next", ada.ticket))
    assert ada.position == 1
    session.delete()


def test_markup_is_shown_as_text(url: str) -> None:
    session = Session.create("<script>alert(1)</script>", "read", [item(0)], FER7.names)
    ada = Pupil(url, "Ada")
    page = ada.ask("join", session.code, "<b>Ada</b>", "")
    assert "letters, digits" in str(page)
    assert "&lt;script&gt;" in str(ada.ask("join", session.code, "Ada", "")[1])
    session.delete()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/upload"), ("GET", "/gradio_api/file=/etc/passwd"), ("GET", "/gradio_api/proxy=http://a.example/"),
        ("POST", "/gradio_api/queue/join"), ("POST", "/gradio_api/component_server"), ("GET", "/monitoring"),
        ("POST", "/login"), ("GET", "/gradio_api/../../etc/passwd"), ("POST", "/gradio_api/run/other"), ("PUT", "/"),
    ],
)  # fmt: skip
def test_nothing_but_joining_and_answering_is_there(url: str, method: str, path: str) -> None:
    assert httpx.request(method, url + path, json={"data": []} if method == "POST" else None).status_code in (404, 405)


def test_large_requests_and_other_hosts_are_refused(url: str) -> None:
    assert httpx.post(f"{url}/gradio_api/run/join", json={"data": ["x" * 100_000]}).status_code == 413
    assert httpx.get(url, headers={"Host": "evil.example"}).status_code == 403
    assert (
        httpx.post(f"{url}/gradio_api/run/join", headers={"Origin": "http://evil.example"}, json={}).status_code == 403
    )
    assert httpx.get(url).status_code == 200
    assert "needs JavaScript" in httpx.get(url).text


def test_the_workspace_says_where_the_app_is(url: str) -> None:
    assert address.known().rstrip("/") == url


def test_two_hundred_joins_by_a_script_are_limited_and_the_class_goes_on(url: str) -> None:
    """Last in this file: it uses up what this address may."""
    session = class_of(["happy"] * 3)
    ada = Pupil(url, "Ada")
    ada.ticket = f"{session.code}-{session.join('Ada').token}"  # from another address
    with ThreadPoolExecutor(20) as pool:
        said = list(pool.map(lambda n: Pupil(url, f"script {n}").join(session.code), range(200)))
    refused = [one for one in said if "Too many people join from your address" in one]
    assert 200 - AT_ONCE - 20 <= len(refused) < 200
    assert len(session.students()) == 201 - len(refused)
    ada.see(ada.ask("look", ada.ticket))
    ada.take_part(["happy"] * 3, 0)
    assert len(ada.confirmed) == 3


def test_an_allowance_is_each_addresss_own_and_comes_back() -> None:
    now = [0.0]
    allowance = Allowance(lambda: now[0])
    assert [allowance.take("script") for _ in range(AT_ONCE)] == [0.0] * AT_ONCE
    assert allowance.take("script") == pytest.approx(EACH)
    assert allowance.take("a student") == 0.0
    now[0] = EACH
    assert allowance.take("script") == 0.0
    assert allowance.take("script") > 0
