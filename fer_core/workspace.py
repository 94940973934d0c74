"""The workspace, which holds runs, the image cache and the list of data sets; and where the shipped networks are."""

import os
import re
import secrets
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


def home() -> Path:
    """The workspace folder: `FERSCOPE_HOME`; or else `workspace/` in a checkout, and where the platform keeps a user's
    data if a wheel was installed. Read at each call, so tests can move it."""
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
