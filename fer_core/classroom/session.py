"""A session of a class: one SQLite file in the workspace, `classes/<code>.sqlite`.

It holds the images that are shown, the students and their answers, so that deleting the file deletes everything. Each
answer is one transaction on a write-ahead log that is flushed to the disk before the answer is confirmed: a server that is
killed loses no confirmed answer, and everybody continues where they were.
"""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
import threading
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd

from fer_core.classroom.tasks import GUESS, LABEL, NO_EXPRESSION, TASKS, Task
from fer_core.errors import ClassError, shortened
from fer_core.spreadsheet import as_csv
from fer_core.workspace import home

State = Literal["running", "paused", "ended", "revealed"]
STATES: tuple[State, ...] = get_args(State)
SIGNS = "ACDEFGHJKLMNPQRTUVWXY3479"  # of a code: none looks like another on a projector
CODE = re.compile(f"[{SIGNS}]{{5}}")
LONGEST_NAME = 24
MOST_STUDENTS, MOST_ITEMS = 200, 200
AWAY = 120.0  # seconds after which whoever has not answered no longer counts as the vote of an image
PATIENCE = 30.0  # seconds that an answer waits for another one to be written

_TURN = threading.Lock()  # SQLite lets writers of a process wait by chance, so that one of twenty may wait for seconds

SCHEMA = """
CREATE TABLE session (about TEXT NOT NULL, state TEXT NOT NULL, open INTEGER NOT NULL);
CREATE TABLE items (
  position INTEGER PRIMARY KEY, id TEXT NOT NULL, dataset TEXT NOT NULL, split TEXT NOT NULL, label TEXT NOT NULL,
  hash TEXT NOT NULL, truth TEXT NOT NULL, image BLOB NOT NULL, map BLOB, facts TEXT NOT NULL);
CREATE TABLE students (
  number INTEGER PRIMARY KEY, nickname TEXT NOT NULL, folded TEXT NOT NULL UNIQUE, token TEXT NOT NULL UNIQUE,
  word TEXT NOT NULL, item INTEGER, since REAL NOT NULL);
CREATE TABLE answers (
  student INTEGER NOT NULL REFERENCES students ON DELETE CASCADE, item INTEGER NOT NULL REFERENCES items,
  choice TEXT NOT NULL, confidence REAL NOT NULL, seconds REAL NOT NULL, region TEXT NOT NULL, at REAL NOT NULL,
  PRIMARY KEY (student, item)) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Item:
    """An image that is asked about.

    Attributes:
        position: in the session, from 0.
        label: as the data set gives it.
        truth: the right answer; “” where there is none.
        image, map: PNG files; the map is shown after the answer, or with the question where the task needs it.
        facts: what is revealed of it: the network's `probs` by expression, `region`, `trust`, ...
    """

    position: int
    id: str
    dataset: str
    split: str
    label: str
    hash: str
    truth: str
    image: bytes
    map: bytes | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class About:
    """What a session is.

    Attributes:
        name: that the teacher gave it.
        task: a key of `TASKS`.
        choices: that can be answered, in their order.
        together: everybody has the same image until the teacher goes on; else each goes at their own pace.
        votes: people who label an image, after whom it is no longer shown; 0: everybody answers every image.
        network: title of the network beside the class; “” for none.
        made: seconds since 1970.
        size: number of images.
    """

    name: str
    task: str
    choices: tuple[str, ...]
    together: bool
    votes: int
    network: str
    made: float
    size: int

    @property
    def kind(self) -> Task:
        return TASKS[self.task]


@dataclass(frozen=True)
class Student:
    """Somebody who joined: `token` is kept by their browser, `word` takes them back on another device."""

    number: int
    nickname: str
    token: str
    word: str


@dataclass(frozen=True)
class Answer:
    """What somebody answered: a choice, how sure they were (0..1), the seconds since the image was shown, a region or “”."""

    item: int
    choice: str
    confidence: float
    seconds: float
    region: str


@dataclass(frozen=True)
class Session:
    """A session by its code."""

    code: str

    @property
    def path(self) -> Path:
        return folder() / f"{self.code}.sqlite"

    @classmethod
    def create(
        cls,
        name: str,
        task: str,
        items: Sequence[Item],
        choices: Sequence[str],
        *,
        network: str = "",
        together: bool = False,
        votes: int = 0,
    ) -> Session:
        """A new session, running, with a code of its own.

        Raises:
            ClassError: no image, too many, or fewer than one vote for an image.
        """
        if not 1 <= len(items) <= MOST_ITEMS:
            raise ClassError(f"A session has 1 to {MOST_ITEMS} images, found {len(items)}; choose another number.")
        if together and votes:
            raise ClassError(
                "Images that some people label cannot be shown to all at once; let each go at their own pace."
            )
        folder().mkdir(parents=True, exist_ok=True)
        while (made := cls("".join(secrets.choice(SIGNS) for _ in range(5)))).path.exists():
            pass
        about = {
            "name": " ".join(name.split())[:60] or "Class", "task": task, "choices": list(choices), "together": together,
            "votes": votes, "network": network, "made": time.time(), "size": len(items),
        }  # fmt: skip
        try:
            with made._writing(new=True) as base:
                base.execute(
                    "INSERT INTO session VALUES (?, 'running', ?)", (json.dumps(about), 1 if together else len(items))
                )
                base.executemany(
                    "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [
                        (i.position, i.id, i.dataset, i.split, i.label, i.hash, i.truth, i.image, i.map, json.dumps(i.facts))
                        for i in items
                    ],
                )  # fmt: skip
        except BaseException:
            made.delete()
            raise
        return made

    @classmethod
    def named(cls, code: str) -> Session:
        """The session of a code, as somebody typed it.

        Raises:
            ClassError: there is none.
        """
        found = cls("".join(code.split()).upper())
        if not CODE.fullmatch(found.code) or not found.path.is_file():
            raise ClassError(
                f"There is no class with the code “{shortened(code.strip(), 12)}”. Look at the board again."
            )
        return found

    # ------------------------------------------------------------------------------------------------------- reading

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """
        Raises:
            ClassError: the file is gone, or damaged.
        """
        try:
            # mode=rw does not make a file anew that was just deleted
            with closing(
                sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=rw", uri=True, timeout=PATIENCE)
            ) as base:
                base.row_factory = sqlite3.Row
                base.execute("PRAGMA foreign_keys = ON")
                base.execute("PRAGMA synchronous = FULL")  # an answer is on the disk before it is confirmed
                base.execute("PRAGMA secure_delete = ON")  # whoever is taken out leaves no trace in free pages
                yield base
        except sqlite3.Error as error:
            if not self.path.exists():
                raise ClassError("This class was deleted.") from error
            raise ClassError(
                f"The file of class {self.code} cannot be used ({error}); make room, or delete it."
            ) from error

    @contextmanager
    def _writing(self, *, new: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is kept, or nothing."""
        if new:
            self.path.touch(exist_ok=False)
        with _TURN, self._open() as base:
            if new:
                base.execute("PRAGMA journal_mode = WAL")
                base.executescript(SCHEMA)
            base.isolation_level = None
            base.execute("BEGIN IMMEDIATE")
            try:
                yield base
            except BaseException:
                base.execute("ROLLBACK")
                raise
            base.execute("COMMIT")

    @property
    def about(self) -> About:
        with self._open() as base:
            return _about(base)

    def state(self) -> tuple[State, int]:
        """The state, and the number of images that are open."""
        with self._open() as base:
            row = base.execute("SELECT state, open FROM session").fetchone()
        return row["state"], row["open"]

    def items(self) -> list[Item]:
        """All images, in their order."""
        with self._open() as base:
            rows = base.execute("SELECT * FROM items ORDER BY position").fetchall()
        return [_item(row) for row in rows]

    def facts(self) -> pd.DataFrame:
        """The images without their pixels: `position`, `id`, `dataset`, `split`, `label`, `hash`, `truth` and `facts`."""
        with self._open() as base:
            rows = base.execute(
                "SELECT position, id, dataset, split, label, hash, truth, facts FROM items ORDER BY position"
            ).fetchall()
        return pd.DataFrame([{**dict(row), "facts": json.loads(row["facts"])} for row in rows])

    def answers(self) -> pd.DataFrame:
        """One row an answer, in the order in which they came: `nickname`, `position`, `choice`, `confidence`, `seconds`,
        `region`, `at` (seconds since 1970)."""
        columns = ["nickname", "position", "choice", "confidence", "seconds", "region", "at"]
        with self._open() as base:
            rows = base.execute(
                "SELECT nickname, answers.item, choice, confidence, seconds, region, at FROM answers "
                "JOIN students ON number = student ORDER BY at, student"
            ).fetchall()
        return pd.DataFrame([tuple(row) for row in rows], columns=columns)

    def students(self) -> pd.DataFrame:
        """One row a student, in the order in which they joined: `nickname` and `answered`."""
        with self._open() as base:
            rows = base.execute(
                "SELECT nickname, (SELECT count(*) FROM answers WHERE student = number) FROM students ORDER BY number"
            ).fetchall()
        return pd.DataFrame([tuple(row) for row in rows], columns=["nickname", "answered"])

    def export(self) -> str:
        """All answers as csv, a row each, with id, data set, split, label and right answer of the image."""
        images = self.facts().drop(columns="facts")
        table = self.answers().merge(images, on="position", how="left", validate="many_to_one")
        return as_csv(table.assign(session=self.code))

    # ------------------------------------------------------------------------------------------------------ a student

    def join(self, nickname: str, word: str = "") -> Student:
        """Take part under a nickname; somebody who took part before comes back with their word.

        Raises:
            ClassError: the nickname cannot be used or is taken, the word is another one, the class has ended or is full.
        """
        name = as_nickname(nickname)
        folded = unicodedata.normalize("NFKC", name).casefold()
        with self._writing() as base:
            known = base.execute("SELECT * FROM students WHERE folded = ?", (folded,)).fetchone()
            if known is not None:
                if secrets.compare_digest(word.strip().encode(), known["word"].encode()):
                    return _student(known)
                if word.strip():
                    raise ClassError(
                        f"This is not the return word of “{known['nickname']}”. Type it as you were given it."
                    )
                raise ClassError(
                    f"“{known['nickname']}” is taken. Choose another nickname; if it is yours, give your return word too."
                )
            if base.execute("SELECT state FROM session").fetchone()["state"] in ("ended", "revealed"):
                raise ClassError("This class has ended. Ask for the code of today.")
            if base.execute("SELECT count(*) FROM students").fetchone()[0] >= MOST_STUDENTS:
                raise ClassError(f"This class is full: {MOST_STUDENTS} people have joined.")
            made = base.execute(
                "INSERT INTO students (nickname, folded, token, word, item, since) VALUES (?, ?, ?, ?, NULL, ?) RETURNING *",
                (
                    name,
                    folded,
                    secrets.token_urlsafe(18),
                    "".join(secrets.choice(SIGNS) for _ in range(4)),
                    time.time(),
                ),
            ).fetchone()
            return _student(made)

    def student(self, token: str) -> Student:
        """Who has a token.

        Raises:
            ClassError: nobody.
        """
        with self._open() as base:
            return _student(_who(base, token))

    def question(self, token: str, *, now: float | None = None) -> Item | None:
        """The image that somebody is asked about now; None when there is none for them at the moment, or the class has ended.

        The first call for an image starts its clock, if an answer has not; a reload goes on with it.

        Raises:
            ClassError: nobody has this token.
        """
        at = time.time() if now is None else now
        with self._open() as base:
            who = _who(base, token)
            position, fresh = _asked(base, who, at)
            if position is None:
                return None
            item = _item(base.execute("SELECT * FROM items WHERE position = ?", (position,)).fetchone())
        if fresh:
            with self._writing() as base:
                _start_clock(base, who["number"], position, at)
        return item

    def answer(
        self, token: str, position: int, choice: str, confidence: float, region: str = "", *, now: float | None = None
    ) -> Answer:
        """Keep an answer and return it. Of a second answer to the same image nothing is kept: the first is returned.

        Raises:
            ClassError: nobody has this token; the class is paused or has ended; there is no such image, choice or confidence.
        """
        at = time.time() if now is None else now
        if not 0 <= confidence <= 1:
            raise ClassError(f"A confidence is between 0 and 1, found {confidence:g}; choose how sure you are.")
        with self._writing() as base:
            who, about = _who(base, token), _about(base)
            if choice not in about.choices:
                raise ClassError(
                    f"“{shortened(choice, 20)}” is no answer here; choose one of {', '.join(about.choices)}."
                )
            first = base.execute(
                "SELECT * FROM answers WHERE student = ? AND item = ?", (who["number"], position)
            ).fetchone()
            if first is not None:
                return _answer(first)
            state, opened = base.execute("SELECT state, open FROM session").fetchone()
            if state != "running":
                raise ClassError(PAUSED if state == "paused" else ENDED)
            if who["item"] != position or not 0 <= position < opened:
                raise ClassError("This image is not the one that you were asked about. Reload the page.")
            made = base.execute(
                "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING *",
                (who["number"], position, choice, confidence, max(0.0, at - who["since"]), region[:40], at),
            ).fetchone()
            following, fresh = _asked(base, who, at)
            # Here, so that an answer costs one transaction; after a guess something else is shown first.
            if following is not None and fresh and about.task != GUESS:
                _start_clock(base, who["number"], following, at)
            return _answer(made)

    def own_answers(self, token: str) -> dict[int, Answer]:
        """What somebody has answered, by the position of the image.

        Raises:
            ClassError: nobody has this token.
        """
        with self._open() as base:
            rows = base.execute("SELECT * FROM answers WHERE student = ?", (_who(base, token)["number"],)).fetchall()
        return {row["item"]: _answer(row) for row in rows}

    # ----------------------------------------------------------------------------------------------------- the teacher

    def turn(self, state: State) -> None:
        """Pause, continue, end or reveal. The clocks of all start anew when it continues.

        Raises:
            ClassError: what was revealed cannot run again.
        """
        with self._writing() as base:
            before = base.execute("SELECT state FROM session").fetchone()["state"]
            if before == "revealed" and state != "revealed":
                raise ClassError("The answers were revealed, so this class cannot continue. Start a new one.")
            base.execute("UPDATE session SET state = ?", (state,))
            if before != "running" and state == "running":
                base.execute("UPDATE students SET since = ?", (time.time(),))

    def advance(self) -> None:
        """Open the next image, where all have the same one."""
        with self._writing() as base:
            base.execute("UPDATE session SET open = min(open + 1, ?)", (_about(base).size,))

    def remove(self, nickname: str) -> None:
        """Take a student and their answers out."""
        with self._writing() as base:
            base.execute("DELETE FROM students WHERE nickname = ?", (nickname,))

    def delete(self) -> None:
        """Delete the session with all that it holds."""
        for path in (self.path, *(self.path.with_name(self.path.name + end) for end in ("-wal", "-shm"))):
            path.unlink(missing_ok=True)


PAUSED = "The class is paused. Your answer was not kept; send it again when it continues."
ENDED = "The class has ended. What you answered before is kept."


def folder() -> Path:
    return home() / "classes"


def sessions() -> list[Session]:
    """All sessions, the newest first; what cannot be read comes last."""

    def made(one: Session) -> float:
        try:
            return one.about.made
        except ClassError:
            return 0.0

    found = [Session(path.stem) for path in folder().glob("*.sqlite") if CODE.fullmatch(path.stem)]
    return sorted(found, key=made, reverse=True)


def as_nickname(text: str) -> str:
    """A nickname without superfluous spaces.

    Raises:
        ClassError: it is empty, too long, or holds signs other than letters, digits, spaces and - _ . '
    """
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name:
        raise ClassError("Type a nickname.")
    if len(name) > LONGEST_NAME:
        raise ClassError(f"A nickname has at most {LONGEST_NAME} letters, found {len(name)}. Choose a shorter one.")
    if any(not (sign.isalnum() or unicodedata.category(sign).startswith("M") or sign in " -_.'") for sign in name):
        raise ClassError("A nickname has letters, digits, spaces and - _ . ' only. Choose another.")
    if not any(sign.isalnum() for sign in name):
        raise ClassError("A nickname needs a letter or a digit. Choose another.")
    return name


def choices_of(task: str, expressions: Sequence[str]) -> tuple[str, ...]:
    """What can be answered about images with these expressions."""
    return (*expressions, *NO_EXPRESSION) if task == LABEL else tuple(expressions)


def _about(base: sqlite3.Connection) -> About:
    known = json.loads(base.execute("SELECT about FROM session").fetchone()["about"])
    return About(**{**known, "choices": tuple(known["choices"])})


def _who(base: sqlite3.Connection, token: str) -> sqlite3.Row:
    found: sqlite3.Row | None = base.execute("SELECT * FROM students WHERE token = ?", (token,)).fetchone()
    if found is None:
        raise ClassError("You have not joined this class, or were taken out of it. Join again.")
    return found


def _next(base: sqlite3.Connection, student: int, opened: int, about: About, now: float) -> int | None:
    """The position that a student is asked about next.

    Where only some people label an image, the one with the fewest votes comes first, so that all get the same number. Whoever
    was shown an image less than `AWAY` seconds ago counts as a vote. Ties are in an order of each student's own.
    """
    where = "position < ? AND NOT EXISTS (SELECT 1 FROM answers WHERE item = position AND student = ?)"
    if not about.votes:
        row = base.execute(f"SELECT min(position) FROM items WHERE {where}", (opened, student)).fetchone()
        return None if row[0] is None else int(row[0])
    row = base.execute(
        "SELECT position, (SELECT count(*) FROM answers WHERE item = position) + (SELECT count(*) FROM students AS other "
        "WHERE other.item = position AND other.number != ? AND since > ? AND NOT EXISTS (SELECT 1 FROM answers "
        f"WHERE item = position AND student = other.number)) AS n FROM items WHERE {where} AND n < ? "
        "ORDER BY n, (position * 7919 + ? * 104729) % 1009 LIMIT 1",
        (student, now - AWAY, opened, student, about.votes, student),
    ).fetchone()
    return None if row is None else int(row["position"])


def _asked(base: sqlite3.Connection, who: sqlite3.Row, now: float) -> tuple[int | None, bool]:
    """The position that a student is asked about, None for none, and whether its clock has yet to start.

    An image that was shown stays until it is answered, also where others have labelled it meanwhile.
    """
    state, opened = base.execute("SELECT state, open FROM session").fetchone()
    if state in ("ended", "revealed"):
        return None, False
    shown = who["item"]
    if shown is not None:
        done = base.execute("SELECT 1 FROM answers WHERE student = ? AND item = ?", (who["number"], shown)).fetchone()
        if done is None:
            return int(shown), False
    return _next(base, who["number"], opened, _about(base), now), True


def _start_clock(base: sqlite3.Connection, student: int, position: int, at: float) -> None:
    base.execute("UPDATE students SET item = ?, since = ? WHERE number = ?", (position, at, student))


def _item(row: sqlite3.Row) -> Item:
    return Item(**{**dict(row), "facts": json.loads(row["facts"])})


def _student(row: sqlite3.Row) -> Student:
    return Student(row["number"], row["nickname"], row["token"], row["word"])


def _answer(row: sqlite3.Row) -> Answer:
    return Answer(row["item"], row["choice"], row["confidence"], row["seconds"], row["region"])
