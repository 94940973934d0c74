"""Images in an untrusted zip. Nothing is unpacked to disk: members are read into memory, one at a time, up to a limit.

The directory of a zip can be wrong, so the limits count the bytes that are really read. No name is ever used as a path.
"""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fer_core.datasets.files import foreign
from fer_core.errors import DataError
from fer_core.images import FOREIGN_SUFFIXES, PICTURE_SUFFIXES

MAX_PICTURES = 20_000
MAX_PICTURE_BYTES = 20 * 2**20
MAX_TOTAL_BYTES = 500 * 2**20  # of all images, unpacked
MAX_DIRECTORY_BYTES = 4 * 2**20  # of the list of names; Python reads it as a whole, about 40,000 names
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")


@dataclass(frozen=True)
class ArchiveEntry:
    """A file of an archive: its name with `/` between folders, and its bytes, or None and why it was left out."""

    name: str
    data: bytes | None
    reason: str = ""

    @property
    def folder(self) -> str:
        """The name of the folder it lies in; "" at the top."""
        return PurePosixPath(self.name).parent.name


def pictures_in(path: Path, also: Collection[str] = ()) -> Iterator[ArchiveEntry]:
    """The images of a zip in the order of its directory; files that are no images are passed over.

    Args:
        also: endings of further files to give, such as those of tables of labels; the limits hold for them too.

    Links, names that lead out of the archive, archives inside, encrypted and damaged members come without data and
    with the reason.

    Raises:
        DataError: it is no zip, its directory is too long, it holds no image or more than the limits above allow.
    """
    _refuse_long_directory(path)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise DataError(f"{path.name} is no readable zip ({error}); pack the folder again as a zip.") from error
    count = total = 0
    with archive:
        for info in archive.infolist():
            if not info.filename:  # Python ends a name at its first zero byte, which may be the first of all
                yield ArchiveEntry("", None, "it has no name; rename it")
                continue
            name = _name(info)
            parts = PurePosixPath(name).parts
            if info.is_dir() or not parts or any(part == "__MACOSX" or part.startswith("._") for part in parts):
                continue
            suffix = PurePosixPath(name).suffix.lower()
            if suffix in ARCHIVES:
                yield ArchiveEntry(name, None, "an archive inside the archive is not opened; pack its images directly")
                continue
            if suffix in FOREIGN_SUFFIXES:
                yield ArchiveEntry(name, None, foreign(suffix))
            if suffix not in PICTURE_SUFFIXES and suffix not in also:
                continue
            count += 1
            if count > MAX_PICTURES:
                raise DataError(f"{path.name} holds more than {MAX_PICTURES:,} images; send it in parts.")
            if reason := _unwanted(info, name):
                yield ArchiveEntry(name, None, reason)
                continue
            try:
                with archive.open(info) as file:
                    data = file.read(MAX_PICTURE_BYTES + 1)
            except (
                zipfile.BadZipFile,
                zlib.error,
                lzma.LZMAError,
                OSError,
                EOFError,
                ValueError,
                RuntimeError,
                NotImplementedError,
            ) as error:
                yield ArchiveEntry(name, None, f"damaged in the archive ({error})")
                continue
            total += len(data)
            if total > MAX_TOTAL_BYTES:
                raise DataError(
                    f"{path.name} holds more than {MAX_TOTAL_BYTES // 2**20} MB of images when unpacked; "
                    "send it in parts, or shrink the images first."
                )
            if len(data) > MAX_PICTURE_BYTES:
                yield ArchiveEntry(name, None, f"larger than {MAX_PICTURE_BYTES // 2**20} MB when unpacked")
                continue
            yield ArchiveEntry(name, data)
    if not count:
        raise DataError(
            f"{path.name} holds no image ({', '.join(sorted(PICTURE_SUFFIXES))}); pack the images directly."
        )


def _name(info: zipfile.ZipInfo) -> str:
    """A member's name with `/` between folders. A Mac writes UTF-8 and does not say so, and Python then reads CP437."""
    name = info.filename.replace("\\", "/")
    if info.flag_bits & 0x800:  # it is said to be UTF-8
        return name
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name


def _unwanted(info: zipfile.ZipInfo, name: str) -> str:
    if name.startswith("/") or ".." in PurePosixPath(name).parts or ":" in name.split("/")[0]:
        return "its name leads out of the archive"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a link, not an image"
    if info.flag_bits & 0x1:
        return "it is encrypted; pack it without a password"
    return ""


def _refuse_long_directory(path: Path) -> None:
    """Python reads a zip's whole directory at once; millions of names would take gigabytes."""
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - 22 - 65_535))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise DataError(f"{path.name} is no readable zip (its directory is missing); pack the folder again as a zip.")
    (size,) = struct.unpack("<L", tail[at + 12 : at + 16])
    if size > MAX_DIRECTORY_BYTES or tail[max(0, at - 20) : at].startswith(b"PK\x06\x07"):
        raise DataError(f"{path.name} lists too many files; send it in parts of at most {MAX_PICTURES:,} images.")
