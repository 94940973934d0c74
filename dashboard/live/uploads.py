"""Uploads: what is accepted, up to which size, and how long it is kept."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from abc import ABCMeta
from base64 import b64decode
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.component_meta import ComponentMeta
from gradio.data_classes import ImageData

from fer_core.datasets.archive import MAX_PICTURE_BYTES
from fer_core.errors import FerError, ImageError

MAX_UPLOAD = 200 * 2**20  # bytes of one file: a zip or a video
KEPT = 15 * 60  # seconds that an upload and its result stay on this machine
SWEEP = 30.0  # seconds between two sweeps
MAX_FILES = 500
GONE = f"The upload is no longer here: it is deleted after {KEPT // 60} minutes. Upload it again."


def picture_bytes(path: Path) -> bytes:
    """The content of an uploaded image.

    Raises:
        ImageError: it is larger than `MAX_PICTURE_BYTES`, or was deleted in the meantime.
    """
    try:
        size = path.stat().st_size
        if size > MAX_PICTURE_BYTES:
            raise ImageError(
                f"The image has {size / 2**20:.0f} MB; the limit is {MAX_PICTURE_BYTES // 2**20} MB. "
                "Scale it down or save it as JPEG."
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageError(GONE) from None


def said(error: FerError) -> gr.Error:
    """An expected error, as the app shows it and scripts receive it. Nothing is logged."""
    return gr.Error(str(error), print_exception=False)


def sweep(folder: Path, kept: float = KEPT, spared: Collection[Path] = ()) -> int:
    """Delete what is older than `kept` seconds in a folder, but for what is spared; return the number of deleted files.

    Files may come and go meanwhile. What cannot be deleted now is tried again in the next sweep.
    """
    deleted, before = 0, time.time() - kept
    for place, folders, files in os.walk(folder, topdown=False):
        for path in {Path(place, name) for name in files} - set(spared):
            with suppress(OSError):
                if path.lstat().st_ctime <= before:
                    path.unlink()
                    deleted += 1
        for inner in (Path(place, name) for name in folders):
            with suppress(OSError):  # it still holds something
                if inner.lstat().st_ctime <= before:
                    inner.rmdir()
    return deleted


@contextmanager
def swept(folder: Path, every: float = SWEEP, kept: float = KEPT) -> Iterator[None]:
    """Sweep a folder from time to time while the block runs; what is there at its start is the app's own, such as the examples,
    and stays. Gradio's own cleaner stops forever at its first error."""
    over, own = threading.Event(), frozenset(folder.rglob("*"))

    def go_on() -> None:
        while not over.wait(every):
            sweep(folder, kept, own)

    thread = threading.Thread(target=go_on, name="sweep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for one job's files. It is deleted when the job ends or is cancelled."""
    # Beside Gradio's folder: what already lies in it is not copied into it, and would be gone when it is fetched.
    with tempfile.TemporaryDirectory(dir=Path(os.environ["GRADIO_TEMP_DIR"]).parent, prefix="job-") as folder:
        yield Path(folder)


class _NoStub(ComponentMeta):
    """Gradio's own metaclass writes a .pyi file beside the module of every new component; this one does not."""

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> type:
        return ABCMeta.__new__(cls, name, bases, attributes)


class Picture(gr.Image, metaclass=_NoStub):
    """An image input that gives the bytes that were sent. Gradio would decode them differently than `decode`.

    Gradio has already checked that the path is one of its uploads.
    """

    is_template = True  # in the browser it is Gradio's own image

    def preprocess(self, payload: ImageData | None) -> bytes | None:  # type: ignore[override]  # bytes are its purpose
        if payload is None:
            return None
        if payload.url and payload.url.startswith("data:"):  # a camera frame
            return b64decode(payload.url.partition(",")[2])
        try:
            return picture_bytes(Path(str(payload.path)))
        except ImageError as error:
            raise said(error) from None
