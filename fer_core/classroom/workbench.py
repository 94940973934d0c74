"""A workspace each, on one machine: who has which, and what the teacher sees of the training queue.

A student's workspace is a folder `students/<name>/` of the teacher's. Its `student.json` holds the nickname, what the
browser keeps to be known again, and the return word for another device. `students/class.json` holds the code that lets
students in, and the teacher's key.
"""

from __future__ import annotations

import json
import re
import secrets
import unicodedata
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import psutil
from filelock import FileLock

from fer_core.classroom.session import MOST_STUDENTS, SIGNS, as_nickname
from fer_core.errors import ClassError
from fer_core.experiments.sweep_folder import SweepFolder
from fer_core.runs import queue
from fer_core.runs.folder import RunFolder
from fer_core.training import launch
from fer_core.untrusted import read_json
from fer_core.workspace import STUDENT, STUDENTS, at, home, write_atomically

TEACHER = "teacher"  # the name in the teacher's ticket; a student's has a digest at its end


@dataclass(frozen=True)
class Door:
    """What lets people in.

    Attributes:
        code: that students type once.
        key: of the teacher.
    """

    code: str
    key: str


@dataclass(frozen=True)
class Desk:
    """A student's workspace: its name in `students/`, whose it is, and what brings them back.

    Attributes:
        secret: the browser's ticket is `<name>.<secret>`.
        word: brings the student back on another device.
    """

    name: str
    nickname: str
    secret: str
    word: str

    @property
    def ticket(self) -> str:
        return f"{self.name}.{self.secret}"


def door(teacher: Path) -> Door:
    """What lets people into the workbench of a teacher's workspace; made at the first call and kept.

    Raises:
        ClassError: the file was damaged by hand.
    """
    path = teacher / STUDENTS / "class.json"
    if not path.exists():
        made = Door("".join(secrets.choice(SIGNS) for _ in range(5)), secrets.token_urlsafe(18))
        write_atomically(path, json.dumps(asdict(made)).encode())
        path.chmod(0o600)
    try:
        return Door(**read_json(path))
    except (ValueError, TypeError) as error:
        raise ClassError(f"{path} is damaged ({error}). Delete it; a new code and key are made.") from error


def enter(teacher: Path, code: str, nickname: str, word: str = "") -> Desk:
    """Sit down at a workspace: a new one, or with the return word the one of before.

    Raises:
        ClassError: another code, a nickname that cannot be used or is taken, another word, or the class is full.
    """
    if not secrets.compare_digest("".join(code.split()).upper().encode(), door(teacher).code.encode()):
        raise ClassError("This is not the code of this class. Look at the board again.")
    nickname = as_nickname(nickname)
    folded = unicodedata.normalize("NFKC", nickname).casefold()
    plain = re.sub(r"[^a-z0-9]+", "-", folded).strip("-") or "student"
    name = f"{plain}-{sha256(folded.encode()).hexdigest()[:6]}"
    root = teacher / STUDENTS
    with FileLock(root / ".lock"):
        known = _desk(root / name)
        if known is None:
            if len(desks(teacher)) >= MOST_STUDENTS:
                raise ClassError(f"This class is full: {MOST_STUDENTS} people have a workspace.")
            known = Desk(name, nickname, secrets.token_urlsafe(18), "".join(secrets.choice(SIGNS) for _ in range(4)))
            write_atomically(root / name / STUDENT, json.dumps(asdict(known)).encode())
            return known
    if not word.strip():
        raise ClassError(f"“{known.nickname}” is taken. Choose another; if it is yours, give your return word too.")
    if not secrets.compare_digest(word.strip().upper().encode(), known.word.encode()):
        raise ClassError(f"This is not the return word of “{known.nickname}”. Type it as you were given it.")
    return known


def desk(teacher: Path, ticket: str) -> Desk | None:
    """Whose ticket this is; None: nobody's."""
    name, _, secret = ticket.partition(".")
    if not re.fullmatch(r"[a-z0-9-]+", name):
        return None
    known = _desk(teacher / STUDENTS / name)
    return known if known is not None and secrets.compare_digest(secret.encode(), known.secret.encode()) else None


def place(teacher: Path, ticket: str) -> Path | None:
    """The workspace that a ticket opens: the teacher's with the teacher's key; None where it opens none."""
    name, _, secret = ticket.partition(".")
    if name == TEACHER:
        return teacher if secrets.compare_digest(secret.encode(), door(teacher).key.encode()) else None
    known = desk(teacher, ticket)
    return None if known is None else teacher / STUDENTS / known.name


def desks(teacher: Path) -> list[Desk]:
    """All students' workspaces, in alphabetical order."""
    return [known for path in sorted((teacher / STUDENTS).glob("*/")) if (known := _desk(path)) is not None]


def _desk(folder: Path) -> Desk | None:
    try:
        known = Desk(**read_json(folder / STUDENT))
    except (OSError, ValueError, TypeError):  # none, or damaged: the teacher mends or deletes it
        return None
    return known if known.name == folder.name else None


def stop(ticket: queue.Ticket) -> None:
    """Stop whatever has a ticket, in its student's workspace: a run saves first and can be resumed.

    Raises:
        RunError: it has ended in the meantime.
    """
    with at(home() / STUDENTS / ticket.student if ticket.student else home()):
        if (run := RunFolder.named(ticket.name)).path.is_dir():
            launch.stop(run)
        elif (sweep := SweepFolder.named(ticket.name)).path.is_dir():
            sweep.request_stop()
        elif ticket.owner.lives():  # a cross-validation saves each of its runs
            psutil.Process(ticket.owner.pid).terminate()
