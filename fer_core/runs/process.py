"""One process of one machine, named so that no other can be taken for it: not after its number has been given to another
process, not after a restart of the machine, not after its clock was set."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from fer_core import workspace

LINUX = Path("/proc/self/stat").exists()


@dataclass(frozen=True)
class Process:
    """A process id with what makes it unique.

    Attributes:
        started: seconds; on Linux after the machine's start, which setting the clock does not move, elsewhere after 1970.
        boot: names the start of the machine on Linux, empty elsewhere.
        host: the machine's name.
    """

    pid: int
    started: float
    boot: str
    host: str

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has this id now; None where none has, or only the remains of one that has ended."""
        started = _started(pid)
        return None if started is None else cls(pid, started, _boot(), socket.gethostname())

    @classmethod
    def this(cls) -> Process:
        """The process that asks."""
        found = cls.of(os.getpid())
        assert found is not None
        return found

    @property
    def here(self) -> bool:
        """Whether it is, or was, a process of this machine; of another machine's it cannot be said if it lives."""
        return self.host == socket.gethostname()

    def lives(self) -> bool:
        """Whether this process of this machine still runs."""
        return self.boot == _boot() and _started(self.pid) == self.started


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip() if LINUX else ""


def _started(pid: int) -> float | None:
    if not LINUX:
        try:
            process = psutil.Process(pid)
            return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
        except psutil.NoSuchProcess:
            return None
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    values = text.rpartition(")")[2].split()  # a name in parentheses stands before and may hold anything
    return None if values[0] in "ZX" else int(values[19]) / os.sysconf("SC_CLK_TCK")


def detached(arguments: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """A process that outlives this one and its terminal, on the same workspace though in another folder."""
    return subprocess.Popen(
        arguments, cwd=workspace.ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        env=os.environ | {"FERSCOPE_HOME": str(workspace.home().absolute())},
    )  # fmt: skip
