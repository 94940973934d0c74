"""The workspace, which holds runs, the image cache and the list of data sets; and where the shipped networks are.

A student's workspace is a folder `students/<name>/` of the teacher's. Data sets, networks, the cache and the queue of the
teacher's are shared: a student's programs read them, and write runs, notes and figures only into their own.
"""

import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from platformdirs import user_data_path

ROOT = Path(__file__).resolve().parent.parent
CHECKOUT = (ROOT / "pyproject.toml").exists()  # otherwise a wheel was installed, and only the workspace may be written
CHECKPOINTS = ROOT / "checkpoints" if CHECKOUT else ROOT / "fer_core" / "checkpoints"


# Names that mean a device on Windows, also with an ending: a folder of that name can be made elsewhere, and not be copied.
DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def names_a_device(name: str) -> bool:
    """Whether Windows takes a name for a device (“CON”, “nul.txt”) or drops its end (“run.”)."""
    return bool(DEVICE.fullmatch(name)) or name.endswith(".")


STUDENTS = "students"  # in the teacher's workspace: a folder each
STUDENT = "student.json"  # makes such a folder the workspace of a student

_chosen: ContextVar[Path | None] = ContextVar("chosen", default=None)
_of_session: Callable[[], Path] | None = None


def home() -> Path:
    """The workspace folder: the one of `at`; that of the session, in a server for several people; `FERSCOPE_HOME`; or else
    `workspace/` in a checkout, and where the platform keeps a user's data if a wheel was installed. Read at each call, so
    tests can move it."""
    if (chosen := _chosen.get()) is not None:
        return chosen
    return _of_session() if _of_session is not None else of_this_process()


@contextmanager
def at(place: Path) -> Iterator[None]:
    """Work in another workspace until the block ends: what a teacher does with a student's run."""
    before = _chosen.set(place)
    try:
        yield
    finally:
        _chosen.reset(before)


def by_session(whose: Callable[[], Path] | None) -> None:
    """From now on each session of this process has the workspace that a function names; None: all have that of the process.

    The function raises where nobody is signed in, so that no session falls back to the teacher's workspace.
    """
    global _of_session
    _of_session = whose


def student() -> str:
    """The name of this workspace's folder if it belongs to a student, else “”."""
    here = home()
    return here.name if here.parent.name == STUDENTS and (here / STUDENT).is_file() else ""


def shared() -> Path:
    """The workspace whose data, networks, cache and queue are used: the teacher's for a student, else this one."""
    return home().parent.parent if student() else home()


def read_only() -> tuple[Path, ...]:
    """Folders of networks that everybody here reads and nobody changes."""
    return (CHECKPOINTS, shared() / "runs") if student() else (CHECKPOINTS,)


def may_open(path: Path, *more: Path) -> bool:
    """Whether a path that somebody typed may be opened: any, but for students only what lies in their workspace or in one of
    some more places."""
    return not student() or any(path.resolve().is_relative_to(place.resolve()) for place in (home(), *more))


def of_this_process() -> Path:
    """The workspace of the process, whoever's session asks."""
    if named := os.environ.get("FERSCOPE_HOME"):
        return Path(named)
    return ROOT / "workspace" if CHECKOUT else user_data_path("ferscope", appauthor=False)


def start_folder() -> Path:
    """Where the program's own processes start: in a checkout, so that `python -m` finds its packages without an
    installation, or in the workspace, so that nothing lands in the installed package."""
    if CHECKOUT:
        return ROOT
    home().mkdir(parents=True, exist_ok=True)
    return home()


def runs() -> Path:
    return home() / "runs"


def cache() -> Path:
    """Everything here is named by its content, so students share it."""
    return shared() / "cache"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file completely or not at all: readers see the old or the new content, even after a crash or on a full
    disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")  # mkstemp's could be read by its owner alone
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
