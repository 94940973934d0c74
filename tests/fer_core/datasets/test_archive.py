"""Zips that strangers send: whatever is in them, nothing is written, nothing crashes, and each image has an answer."""

import io
import os
import stat
import struct
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fer_core.datasets import archive
from fer_core.datasets.archive import pictures_in
from fer_core.errors import DataError, FerError, ImageError
from fer_core.images import decode


def png(value: int = 90, size: tuple[int, int] = (8, 8)) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", size, value).save(buffer, "PNG")
    return buffer.getvalue()


def packed(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def test_pictures_come_with_their_folder_and_other_files_are_passed_over(tmp_path):
    path = packed(
        tmp_path / "set.zip",
        **{"set/happy/a.png": png(), "set/sad/b.JPG": b"x", "notes.txt": b"", "__MACOSX/happy/._a.png": b"junk"},
    )
    first, second = pictures_in(path)
    assert (first.name, first.folder, first.data) == ("set/happy/a.png", "happy", png())
    assert (second.folder, second.data) == ("sad", b"x")


def test_a_folders_name_is_read_as_the_mac_wrote_it(tmp_path):
    path = packed(tmp_path / "set.zip", **{"Überraschung/a.png": png(), "triste/b.png": png()})
    raw = bytearray(path.read_bytes())
    for head, at in ((b"PK\x03\x04", 7), (b"PK\x01\x02", 9)):  # a Mac writes UTF-8 and sets no flag for it
        place = raw.find(head) + at
        assert raw[place] == 8
        raw[place] = 0
    path.write_bytes(raw)
    assert [member.folder for member in pictures_in(path)] == ["Überraschung", "triste"]


def test_a_name_that_windows_wrote_in_its_own_way_is_read_as_before(tmp_path):
    path = packed(tmp_path / "set.zip", **{"trXste/a.png": png()})
    path.write_bytes(path.read_bytes().replace(b"trXste", b"tr\xa1ste"))  # CP437
    assert [member.folder for member in pictures_in(path)] == ["tríste"]


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_picture_that_cannot_be_unpacked_is_named(tmp_path, packing):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", packing) as file:
        file.writestr("bad.png", png() * 9)
        file.writestr("good.png", png())
    raw = path.read_bytes()
    path.write_bytes(raw[:55] + b"\xff" * 20 + raw[75:])
    bad, good = pictures_in(path)
    assert "damaged in the archive" in bad.reason
    assert good.data == png()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../../evil.png", "leads out"),
        ("/etc/evil.png", "leads out"),
        ("..\\evil.png", "leads out"),
        ("C:/evil.png", "leads out"),
        ("inner.zip", "archive inside"),
        ("inner.tar.gz", "archive inside"),
    ],
)
def test_members_that_are_not_taken_are_named(tmp_path, name, says):
    evil, good = pictures_in(packed(tmp_path / "set.zip", **{name: png(), "good.png": png()}))
    assert evil.data is None
    assert says in evil.reason
    assert good.data == png()


def test_a_link_and_an_encrypted_picture_are_named(tmp_path):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as file:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc/passwd")
        file.writestr("secret.png", png())
    raw = bytearray(path.read_bytes())
    for at in (raw.rfind(b"PK\x01\x02") + 8, raw.rfind(b"PK\x03\x04") + 6):  # the flags of the second member
        raw[at] |= 1
    path.write_bytes(raw)
    link, secret = pictures_in(path)
    assert "a link" in link.reason
    assert "encrypted" in secret.reason


def test_a_bomb_is_read_to_the_limit_and_no_further(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_PICTURE_BYTES", 10_000)
    (bomb,) = pictures_in(packed(tmp_path / "bomb.zip", **{"bomb.png": bytes(3_000_000)}))
    assert bomb.data is None
    assert "larger than" in bomb.reason
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 25_000)
    many = packed(tmp_path / "many.zip", **{f"{i}.png": bytes(9_000) for i in range(4)})
    with pytest.raises(DataError, match="when unpacked"):
        list(pictures_in(many))


def test_a_bomb_that_lies_about_its_size_is_read_to_the_limit_too(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_PICTURE_BYTES", 10_000)
    path = packed(tmp_path / "bomb.zip", **{"bomb.png": bytes(3_000_000)})
    raw = path.read_bytes().replace(struct.pack("<L", 3_000_000), struct.pack("<L", 500))
    path.write_bytes(raw)
    (bomb,) = pictures_in(path)
    assert bomb.data is None or len(bomb.data) <= 10_000


def test_too_many_names_and_too_long_directories_are_refused(tmp_path, monkeypatch):
    path = packed(tmp_path / "set.zip", **{f"{i}.png": b"x" for i in range(5)})
    monkeypatch.setattr(archive, "MAX_PICTURES", 4)
    with pytest.raises(DataError, match="more than 4 images"):
        list(pictures_in(path))
    monkeypatch.setattr(archive, "MAX_DIRECTORY_BYTES", 50)
    with pytest.raises(DataError, match="too many files"):
        list(pictures_in(path))


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip", png(), b"PK\x05\x06" + bytes(18)])
def test_what_is_no_zip_or_holds_nothing_is_refused(tmp_path, content):
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(DataError, match="no readable zip|holds no image"):
        list(pictures_in(tmp_path / "x.zip"))


names = st.one_of(
    st.sampled_from(
        [
            "../a.png",
            "/a.png",
            "happy/a.png",
            "a/../../b.jpg",
            "x.zip",
            "happy/\x00.png",
            "💥/é.png",
            "C:\\a.png",
            ".png",
            "a.png/",
        ]
    ),
    st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=20).map(lambda t: t + ".png"),
)
pictures = st.one_of(
    st.binary(max_size=60),
    st.tuples(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]), st.integers(1, 9), st.integers(1, 9)),
    st.just("huge"),
    st.just("heic"),
)
damage = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4)


def content(what) -> bytes:
    if isinstance(what, bytes):
        return what
    if what == "heic":
        return b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(40)
    buffer = io.BytesIO()
    if what == "huge":  # 10,000 x 10,000 in a few bytes: the header alone says so
        head = png()
        return head[:16] + struct.pack(">II", 10_000, 10_000) + head[24:]
    kind, width, height = what
    Image.fromarray(np.full((height, width), 77, np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def everything_below(folder: Path) -> set[str]:
    return {os.path.join(place, name) for place, _, files in os.walk(folder) for name in files}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(names, pictures, st.booleans()), max_size=5, unique_by=lambda entry: entry[0]),
    damage,
    st.floats(0, 1) | st.just(1.0),
)
def test_whatever_is_uploaded_gets_an_answer_and_leaves_nothing(tmp_path_factory, entries, changes, kept):
    root = tmp_path_factory.getbasetemp() / "hostile"
    (root / "temporary").mkdir(parents=True, exist_ok=True)
    path = root / "upload.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name, what, link in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK if link else stat.S_IFREG) << 16
            file.writestr(info, content(what))
    raw = bytearray(path.read_bytes())
    for at, value in changes:
        raw[int(at * (len(raw) - 1))] = value
    path.write_bytes(raw[: int(len(raw) * kept)])
    before, tempfile.tempdir = everything_below(root), str(root / "temporary")
    said = []
    try:
        for member in pictures_in(path):
            if member.data is None:
                said.append(member.reason)
                continue
            try:
                assert decode(member.data).dtype == np.uint8
            except ImageError as error:
                said.append(str(error))
    except FerError as error:
        said.append(str(error))
    finally:
        tempfile.tempdir = None
    assert all(said)
    assert everything_below(root) == before
