"""The students' page: join with code and nickname, answer image after image, wait, and see the answers when they are revealed.

The browser keeps the ticket (code and token), so a reload, a lost connection and a new server go on where the student was.
No request waits in Gradio's queue, and no function trusts what Gradio remembers of a page: a server that was started anew
remembers nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from dashboard.classroom import words
from dashboard.classroom.limits import Allowance, OnlyAnswers
from dashboard.guard import LOCAL, Reach
from dashboard.live.app import served
from dashboard.live.login import client
from dashboard.live.theme import CSS
from fer_core.classroom import address, people
from fer_core.classroom.session import Answer, Item, Session, Student
from fer_core.classroom.tasks import GUESS, SURE
from fer_core.errors import ClassError, FerError
from fer_core.faces.template import REGIONS, points_of, template

JOINING, READING = "join", "reading"  # names of pages, or their ends
LOST = 20.0  # seconds after which a page that was sent did not arrive
MOST_NOTED = 10_000  # people whose last page is noted
POLL = 3.0  # seconds after which a page asks whether the teacher went on
FINE = 96  # steps of a touch along both sides
TITLE = "FERscope class"
NO_SCRIPT = "<noscript><p>This page needs JavaScript. Turn it on, or use another device.</p></noscript>"
TOUCH = """element.addEventListener('click', (event) => {
  const image = event.target.closest('.touched');
  if (!image) return;
  const box = image.getBoundingClientRect();
  trigger('select', {x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height});
});"""
PHONE = """
.gradio-container { width: 100% !important; max-width: 34rem !important; margin: 0 auto !important; padding: .6rem !important; }
.class-head { display: flex; justify-content: space-between; gap: 1rem; margin-bottom: .3rem; overflow-wrap: anywhere; }
.class-count { margin: .1rem 0 0; }
.class-face { margin: 0; text-align: center; }
.class-face img.touched { width: min(16rem, 62vw); aspect-ratio: 1; object-fit: contain; border-radius: 4px; margin: 0 auto;
  touch-action: manipulation; -webkit-user-select: none; user-select: none; }
.class-map { max-width: 100%; margin: .5rem auto 0; border-radius: 4px; }
.class-note { margin: .2rem 0 .5rem; font-size: 1rem; }
.class-face figcaption { margin-top: .5rem; font-size: 1.05rem; }
.answers .wrap { display: grid !important; grid-template-columns: 1fr 1fr; gap: .45rem; }
.answers label { min-height: 2.7rem; font-size: 1rem; margin: 0 !important; }
.answers label.selected { outline: 2px solid var(--color-accent); outline-offset: -2px; }
.regions .wrap { grid-template-columns: 1fr 1fr 1fr; }
.regions label { font-size: .85rem; padding: .3rem .45rem !important; }
.gradio-container main, .gradio-container .main { padding: .3rem !important; gap: .5rem !important; }
.gradio-container .column { gap: .6rem !important; }
.html-container { padding: 0 !important; }
.class-send { min-height: 3.2rem; font-size: 1.1rem; }
.class-results { display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: .9rem; margin-top: .8rem; }
.class-results figure { margin: 0; font-size: .85rem; overflow-wrap: anywhere; }
.class-results img { width: 100%; aspect-ratio: 1; object-fit: contain; border-radius: 3px; }
footer { display: none !important; }
"""


class Sent:
    """Which page each person was sent last, and when.

    A page asks by itself whether it is still the right one. On a slow server this question may be answered after the page that
    came meanwhile: the same page once more would take back what somebody has just chosen on it. It is sent again only after a
    while, when the first one must have been lost.
    """

    def __init__(self) -> None:
        self._pages: dict[str, tuple[str, float]] = {}

    def now(self, ticket: str, page: list[Any]) -> list[Any]:
        """The page, noted."""
        if len(self._pages) >= MOST_NOTED:
            self._pages.clear()
        self._pages[ticket] = (page[-1], time.monotonic())
        return page

    def lately(self, ticket: str, name: str) -> bool:
        """Whether this page was sent to them a moment ago, with none after it."""
        last, at = self._pages.get(ticket, ("", 0.0))
        return last == name and time.monotonic() - at < LOST


def build() -> gr.Blocks:
    """The app, not started yet. `start` adds theme and style."""
    allowance, sent = Allowance(), Sent()
    app = gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True)
    with app:
        ticket = gr.BrowserState("", storage_key="ferscope-class", secret="no secret: it only keeps its place")
        position, shown = gr.Number(-1, visible=False), gr.Textbox("", visible=False)
        head, told = gr.HTML(words.head(TITLE)), gr.HTML()
        with gr.Column(visible=False) as joining:
            code = gr.Textbox(label="Code on the board", max_length=12)
            nickname = gr.Textbox(label="Nickname", max_length=40, info="Everybody in the class sees it.")
            with gr.Accordion("I come from another device", open=False):
                word = gr.Textbox(label="Return word", max_length=12, info="It was shown when you joined.")
            enter = gr.Button("Join", variant="primary", elem_classes="class-send")
        with gr.Column(visible=False) as asking:
            face = gr.HTML(js_on_load=TOUCH)
            choice = gr.Radio([], show_label=False, label="Answer", container=False, elem_classes="answers")
            region = gr.Radio(
                list(REGIONS),
                label="Where does it look? Touch the face, or choose",
                elem_classes=["answers", "regions"],
            )
            sure = gr.Radio(list(SURE), label="How sure are you?", elem_classes=["answers", "sure"])
            send = gr.Button("Answer", variant="primary", elem_classes="class-send")
        with gr.Column(visible=False) as after:
            known = gr.HTML()
            onwards = gr.Button("Next image", variant="primary", elem_classes="class-send")
        ended = gr.HTML()
        page = [head, told, joining, asking, after, face, choice, region, sure, position, known, ended, shown]

        def join(code: str, nickname: str, word: str, request: gr.Request) -> list[Any]:
            try:
                if wait := allowance.take(_who_asks(request)):
                    raise ClassError(
                        f"Too many people join from your address at once. Try again in {wait:.0f} seconds."
                    )
                session = Session.named(str(code)[:40])
                student = session.join(str(nickname)[:200], str(word or "")[:40])
            except FerError as error:
                return [gr.skip(), *_only(told=words.told(str(error), "problem"))]
            welcome = f"Your return word is {student.word}. You need it only on another device."
            ticket = f"{session.code}-{student.token}"
            return [ticket, *sent.now(ticket, _page(session, student, welcome))]

        def look(ticket: str) -> list[Any]:
            try:
                session, student = _of(ticket)
            except FerError as error:
                return _join_again(str(error) if ticket else "")
            return sent.now(ticket, _page(session, student))

        def poll(ticket: str, shown: Any) -> list[Any]:
            """What has changed by itself: nothing while somebody reads what was revealed to them."""
            try:
                session, student = _of(ticket)
            except FerError as error:
                return _only() if shown == JOINING else _join_again(str(error) if ticket else "")
            if str(shown).endswith(READING) and session.state()[0] in ("running", "paused"):
                return _only()
            found = _page(session, student)
            return _only() if found[-1] == shown or sent.lately(ticket, found[-1]) else sent.now(ticket, found)

        def answer(ticket: str, position: Any, choice: Any, sure: Any, region: Any) -> list[Any]:
            try:
                session, student = _of(ticket)
                task = session.about.kind
                if not choice or not sure or (task.region and not region):
                    missing = (
                        "an answer" if not choice else "a region" if task.region and not region else "how sure you are"
                    )
                    raise ClassError(f"Choose {missing} first.")
                if sure not in SURE or (region and region not in REGIONS) or not isinstance(position, int | float):
                    raise ClassError("This answer does not belong to the image. Reload the page.")
                kept = session.answer(student.token, int(position), str(choice), SURE[sure], str(region or ""))
            except FerError as error:
                return _only(told=words.told(str(error), "problem"))
            if session.about.task == GUESS:
                return _after_guess(session, student, session.items()[kept.item], kept)
            return sent.now(ticket, _page(session, student))

        quick: dict[str, Any] = {
            "queue": False, "api_visibility": "undocumented", "show_progress": "hidden", "preprocess": False,
        }  # fmt: skip
        gr.on(
            [enter.click, nickname.submit, word.submit], join, [code, nickname, word], [ticket, *page], api_name="join",
            **quick,
        )  # fmt: skip
        send.click(answer, [ticket, position, choice, sure, region], page, api_name="answer", **quick)
        onwards.click(look, ticket, page, api_name="next", **quick)
        app.load(look, ticket, page, api_name="look", **quick)
        gr.Timer(POLL).tick(poll, [ticket, shown], page, api_name="poll", **quick)
        app.load(_code_of_address, outputs=code, api_visibility="private", queue=False, show_progress="hidden")
        face.select(
            _touched, [ticket], region, api_visibility="private", queue=False, show_progress="hidden", preprocess=False
        )
    return app


def _who_asks(request: gr.Request) -> str:
    return client(request.request.scope) if request.request is not None else ""


def _of(ticket: Any) -> tuple[Session, Student]:
    """
    Raises:
        ClassError: the ticket is of no class and student.
    """
    code, _, token = str(ticket or "").partition("-")
    session = Session.named(code)
    return session, session.student(token)


NAMES = (
    "head", "told", "joining", "asking", "after", "face", "choice", "region", "sure", "position", "known", "ended", "shown",
)  # fmt: skip


def _only(**changed: Any) -> list[Any]:
    """The page with some parts changed."""
    return [changed.get(name, gr.skip()) for name in NAMES]


def _shows(*columns: str) -> dict[str, Any]:
    return {name: gr.update(visible=name in columns) for name in ("joining", "asking", "after")}


def _join_again(problem: str) -> list[Any]:
    return _only(
        head=words.head(TITLE),
        told=words.told(problem, "problem"),
        ended="",
        shown=JOINING,
        position=-1,
        **_shows("joining"),
    )


# Plain updates: to make a component for each part of each page would cost more than to look up what it shows.
def _page(session: Session, student: Student, message: str = "") -> list[Any]:
    """All that somebody sees now. Its last part names it, so that a page that shows it already is left alone."""
    about, (state, _) = session.about, session.state()
    item = session.question(student.token)
    own = session.own_answers(student.token)
    size = 0 if about.votes else about.size
    parts: dict[str, Any] = {"head": words.head(about.name, student.nickname, len(own), size), "known": "", "ended": ""}
    parts |= {"told": words.told(message), "position": -1}
    if state == "revealed":
        table = people.image_by_image(session)
        most = {int(row["position"]): str(row["most"]) for _, row in table.iterrows() if row["n"]}
        parts["ended"] = words.results(about, session.items(), own, most)
        return _only(**parts, **_shows(), shown=f"{session.code} revealed")
    if item is None or state == "paused":
        parts["told"] = words.told(" ".join([message, words.waiting(state, about, len(own))]).strip())
        return _only(**parts, **_shows(), shown=f"{session.code} {state} {len(own)}")
    return _only(
        **{**parts, "position": item.position},
        **_shows("asking"),
        face=words.face(about, item),
        choice=gr.update(choices=[(one, one) for one in about.choices], value=None),
        region=gr.update(value=None, visible=bool(about.kind.region)),
        sure=gr.update(value=None),
        shown=f"{session.code} {item.position}",
    )


def _after_guess(session: Session, student: Student, item: Item, kept: Answer) -> list[Any]:
    about, own = session.about, session.own_answers(student.token)
    return _only(
        head=words.head(about.name, student.nickname, len(own), about.size),
        told="",
        known=words.revealed(item, kept),
        shown=f"{session.code} {item.position} {READING}",
        **_shows("after"),
    )


def _touched(ticket: Any, event: gr.EventData) -> Any:
    """The region of a touch on the image that somebody is asked about; nothing for a touch that is none."""
    try:
        session, student = _of(ticket)
        item = session.question(student.token)
        x, y = float(event.x), float(event.y)
    except (FerError, AttributeError, TypeError, ValueError):
        return gr.skip()
    if item is None or not (0 <= x < 1 and 0 <= y < 1):
        return gr.skip()
    points = [(FINE * left, FINE * top) for left, top in points_of(item.dataset)]
    return REGIONS[template(FINE, FINE, points)[int(FINE * y), int(FINE * x)]]


def _code_of_address(request: gr.Request) -> str:
    """The code of a link or QR code, so that only the nickname has to be typed."""
    return str(request.query_params.get("code", ""))[:12]


@contextmanager
def start(reach: Reach) -> Iterator[gr.Blocks]:
    """The app, running at `.local_url` (and `.share_url`) until the block ends. Its address stands in the workspace meanwhile.

    Raises:
        ConfigError: the port is taken or the certificate cannot be used.
    """
    with served(
        build, reach, middleware=[Middleware(OnlyAnswers)], css=CSS + PHONE, head=NO_SCRIPT,
    ) as app:  # fmt: skip
        url = app.share_url or app.local_url or ""
        if not app.share_url and reach.host not in LOCAL:
            scheme = "https" if reach.certificate else "http"
            url = f"{scheme}://{address.of_this_machine()}:{app.server_port}/"
        with address.announced(url):
            yield app
