"""The queue of a device: runs use it one at a time, in the order in which they were started. Students take turns.

A ticket is a small file with a number that rises, a round, and the process it belongs to. The first ticket whose process
lives has the device; all others wait. Tickets are ordered by round, then by number. Each further ticket of one student is a
round later, and no new one is of an earlier round than the active one: so students alternate, nobody who trains is
interrupted, and a workspace without students is first come, first served. No lock is held while a run trains, and no page or
server takes part. A ticket expires with its process, and the next run starts.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from fer_core import workspace
from fer_core.runs.process import Process
from fer_core.untrusted import read_json
from fer_core.workspace import write_atomically

LOOK = 0.25  # seconds between two looks of a waiting process


@dataclass(frozen=True)
class Ticket:
    """A place in the queue of a device.

    Attributes:
        name: the waiting or active run, sweep or cross-validation.
        student: whose it is, as `workspace.student` says; “” for the teacher, and where there are no students.
        round: in which the students take turns.
    """

    device: str
    number: int
    name: str
    owner: Process
    path: Path
    student: str = ""
    round: int = 0

    @property
    def title(self) -> str:
        """Its name for whoever waits behind it: what others train is their own affair."""
        return self.name if self.student == workspace.student() else "another person's run"

    def give_up(self) -> None:
        """Leave the queue before the process ends."""
        self.path.unlink(missing_ok=True)


def line(device: str) -> list[Ticket]:
    """The active ticket of a device, then the waiting ones in order. Tickets of ended processes are deleted."""
    return _living(device)


def lines() -> dict[str, list[Ticket]]:
    """The queues of all devices of this machine that are in use."""
    root = _root()
    names = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return {device: tickets for device in names if (tickets := line(device))}


def ticket(device: str, name: str, start: Callable[[], int]) -> Ticket:
    """Add a process to the queue of a device.

    Args:
        device: as `device_of` gives it.
        start: starts the process, or names the own one, and returns its id. Called while nobody else can take a place,
            so that the order of the line is the order of the starts.
    """
    folder = _root() / device
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        owner = Process.of(pid := start())
        number = 1 + max((number for number, _ in _files(folder)), default=0)
        waiting, student = _living(device), workspace.student()
        now = waiting[0].round if waiting else 0
        round = max([now, *(1 + other.round for other in waiting if other.student == student)])
        path = folder / f"{number:08d}"
        if owner is None:  # it has ended already and needs no place
            return Ticket(device, number, name, Process(pid, -1.0, "", socket.gethostname()), path)
        values = {"name": name, "owner": asdict(owner), "student": student, "round": round}
        write_atomically(path, json.dumps(values).encode())
        return Ticket(device, number, name, owner, path, student, round)


def wait(device: str, name: str, look: Callable[[Ticket], None]) -> Ticket:
    """Wait for this process's turn on a device, in its reserved place or at the end of the queue.

    Args:
        look: called at each look with whoever has the device; what it raises leaves the line.

    Returns:
        the ticket; the turn ends when it is given up or the process ends.
    """
    me = Process.this()
    folder = _root() / device
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):  # whoever started this process may still be writing its ticket
        mine = next((ticket for ticket in _living(device) if ticket.owner == me), None)
    mine = mine or ticket(device, name, lambda: me.pid)
    try:
        while first := next(_before(mine), None):
            look(first)
            time.sleep(LOOK)
    except BaseException:
        mine.give_up()
        raise
    return mine


def device_of(setting: str) -> str:
    """The queue for a recipe's `device`. “auto” is resolved without loading torch, which takes seconds."""
    if setting.startswith("cuda"):
        return setting.replace(":", "-") if ":" in setting else f"{setting}-0"
    if setting != "auto":
        return setting
    if shutil.which("nvidia-smi") or Path("/proc/driver/nvidia/version").exists():
        return "cuda-0"
    return "mps" if sys.platform == "darwin" else "cpu"


def _root() -> Path:
    return workspace.shared() / "queue" / re.sub(r"[^A-Za-z0-9.-]", "_", socket.gethostname())


def _files(folder: Path) -> list[tuple[int, Path]]:
    names = sorted(path for path in folder.iterdir() if path.name.isdecimal()) if folder.is_dir() else []
    return [(int(path.name), path) for path in names]


def _living(device: str) -> list[Ticket]:
    return sorted(_read(device), key=lambda ticket: (ticket.round, ticket.number))


def _read(device: str) -> Iterator[Ticket]:
    for number, path in _files(_root() / device):
        try:
            values = read_json(path)
            whose, round = str(values.get("student", "")), int(values.get("round", 0))
            found = Ticket(device, number, str(values["name"]), Process(**values["owner"]), path, whose, round)
        except FileNotFoundError:  # given up since the folder was read
            continue
        except (ValueError, TypeError, KeyError):  # written whole or not at all: it was damaged from outside
            path.unlink(missing_ok=True)
            continue
        if found.owner.lives():
            yield found
        else:
            path.unlink(missing_ok=True)


def _before(mine: Ticket) -> Iterator[Ticket]:
    for other in _living(mine.device):
        if (other.round, other.number) >= (mine.round, mine.number):
            return
        yield other
