"""Unique identification of a process, which stays valid when its number is reused, the machine restarts, or its clock
changes."""

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
        """This process."""
        found = cls.of(os.getpid())
        assert found is not None
        return found

    @property
    def here(self) -> bool:
        """Whether it is, or was, a process of this machine. Whether another machine's process is alive cannot be
        determined."""
        return self.host == socket.gethostname()

    def lives(self) -> bool:
        """Whether this process is alive on this machine."""
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
    """Start a process that outlives this one and its terminal, on the same workspace."""
    return subprocess.Popen(
        arguments, cwd=workspace.start_folder(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        env=environment(),
    )  # fmt: skip


def environment() -> dict[str, str]:
    """The environment of a process that is to work in this workspace."""
    return os.environ | {"FERSCOPE_HOME": str(workspace.home().absolute())}
