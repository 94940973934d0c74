"""The workspace, which holds runs, the image cache and the list of data sets."""

import os
import re
import secrets
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHECKPOINTS = ROOT / "checkpoints"


# Names that mean a device on Windows, also with an ending: a folder of that name can be made elsewhere, and not be copied.
DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def names_a_device(name: str) -> bool:
    """Whether Windows takes a name for a device (“CON”, “nul.txt”) or drops its end (“run.”)."""
    return bool(DEVICE.fullmatch(name)) or name.endswith(".")


def home() -> Path:
    """The workspace folder: `FERSCOPE_HOME`, or `workspace/` in the checkout. Read at each call, so tests can move it."""
    return Path(os.environ.get("FERSCOPE_HOME") or ROOT / "workspace")


def runs() -> Path:
    return home() / "runs"


def cache() -> Path:
    return home() / "cache"


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
