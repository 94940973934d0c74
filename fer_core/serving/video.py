"""Untrusted videos: their frames, limited in length and size, and the annotated copy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fer_core.errors import DataError

if TYPE_CHECKING:
    import cv2

MAX_SECONDS = 180.0  # of the video
MAX_FRAMES = 20_000  # decoded, however short their time stamps say the video is
MAX_PIXELS = 4096 * 2304  # a frame
RATE = 10.0  # frames a second that are looked at; an expression lasts half a second or more
# VP9 in MP4: the one kind that every OpenCV wheel can write (its FFmpeg has no H.264 encoder) and browsers play.
CODEC = "vp09"


@dataclass(frozen=True)
class Video:
    """The header of a video; `seconds` is 0 if its value is not plausible."""

    width: int
    height: int
    rate: float
    seconds: float


@dataclass(frozen=True)
class Frame:
    """One frame: its time in seconds from the start and its image, (H, W, 3) RGB."""

    at: float
    image: NDArray[np.uint8]


def _container(path: Path) -> bool:
    """Whether the file is MP4, MOV, WebM, Matroska or AVI by its first bytes.

    FFmpeg would also open play lists, which can name other files and addresses.
    """
    with path.open("rb") as file:
        head = file.read(12)
    return (
        head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free")
        or head[:4] == b"\x1a\x45\xdf\xa3"
        or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
    )


def _opened(path: Path) -> cv2.VideoCapture:
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "protocol_whitelist;file")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # a damaged file would print a line a frame
    import cv2

    if not _container(path):
        raise DataError(f"{path.name} is no MP4, MOV, WebM, MKV or AVI video; convert it to one of these.")
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        capture.release()
        raise DataError(f"{path.name} is damaged or has no video track; record or copy it again.")
    return capture


def probe(path: Path) -> Video:
    """A video's size, rate and length.

    Raises:
        DataError: it is not a video, it is damaged, its frames are too large, or its header says that it is too long.
    """
    import cv2

    capture = _opened(path)
    try:
        width, height = (int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        rate, count = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
    finally:
        capture.release()
    if width * height == 0 or width * height > MAX_PIXELS:
        raise DataError(f"{path.name}: frames of {width} x {height} pixels are not taken; at most 4096 x 2304 are.")
    seconds = count / rate if rate > 0 and 0 < count < 1e9 else 0.0
    if seconds > MAX_SECONDS:
        raise DataError(
            f"{path.name} is {seconds:.0f} seconds long, at most {MAX_SECONDS:.0f} are taken; cut it into parts."
        )
    return Video(width, height, rate if 0 < rate <= 240 else 25.0, seconds)


def pace(path: Path, rate: float) -> float:
    """How many frames a second `frames` gives: `rate`, or all there are where the video has fewer.

    Raises:
        DataError: as `probe`.
    """
    return min(rate, probe(path).rate)


def frames(path: Path, rate: float = RATE) -> Iterator[Frame]:
    """A video's frames, at most `rate` a second, until it ends.

    Times are the frames' own; where they do not grow (a damaged or endless file) the header's rate counts.

    Raises:
        DataError: as `probe`; no frame can be decoded; it goes on beyond `MAX_SECONDS` or `MAX_FRAMES`.
    """
    import cv2

    video = probe(path)
    capture = _opened(path)
    count, last, due = 0, -1.0, 0.0
    try:
        while capture.grab():
            stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            at = stamp if stamp > last else last + 1 / video.rate if count else 0.0
            count, last = count + 1, at
            if at > MAX_SECONDS or count > MAX_FRAMES:
                raise DataError(
                    f"{path.name} goes on after {MAX_SECONDS:.0f} seconds or {MAX_FRAMES:,} frames; cut it into parts."
                )
            if at + 1e-6 < due:
                continue
            due = max(due + 1 / rate, at)  # a gap in the video is no debt of frames
            good, image = capture.retrieve()
            if not good or image.size == 0:
                continue
            if image.shape[0] * image.shape[1] > MAX_PIXELS:
                raise DataError(f"{path.name}: a frame of {image.shape[1]} x {image.shape[0]} pixels is not taken.")
            yield Frame(at, cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False))
    finally:
        capture.release()
    if last < 0:
        raise DataError(f"{path.name}: not one frame can be decoded; record or copy it again.")


class Writer:
    """An MP4 that browsers play, frame by frame; a context manager. Its size is the first frame's."""

    def __init__(self, path: Path, rate: float) -> None:
        """
        Args:
            rate: frames a second.
        """
        self.path, self.rate = path, rate
        self._writer: cv2.VideoWriter | None = None

    def write(self, image: NDArray[np.uint8]) -> None:
        """Add a frame (H, W, 3) RGB; an odd row or column at its end is left out, as the format asks for.

        Raises:
            DataError: OpenCV cannot write such a file here.
        """
        import cv2

        height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
        if self._writer is None:
            code = cv2.VideoWriter.fourcc(*CODEC)
            self._writer = cv2.VideoWriter(str(self.path), cv2.CAP_FFMPEG, code, self.rate, (width, height))
            if not self._writer.isOpened():
                raise DataError("This OpenCV cannot write VP9 videos; install opencv-python-headless from PyPI.")
        self._writer.write(cv2.cvtColor(np.ascontiguousarray(image[:height, :width]), cv2.COLOR_RGB2BGR))

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.release()
