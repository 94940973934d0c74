"""Decoded images as uint8 arrays on disk. Decoding happens once; later opens read a memory map.

An entry's key is made from the reader, the path and the size and time of every file below it, so a changed set is read
again, and an unchanged one is not. Entries are written to a temporary name and then renamed, so no process sees an
incomplete entry.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.datasets import Dataset, OnBad, Reader, Reading, Skipped, face_in
from fer_core.datasets.identity import HASH, fingerprint, image_hash, is_original, known_sets
from fer_core.errors import DataError
from fer_core.images import ImageSpec, Preparation, decode
from fer_core.labels import Expressions
from fer_core.workspace import cache

VERSION = 5  # raise when a reader's result changes
KEEP_GB = float(os.environ.get("FERSCOPE_CACHE_GB", "20"))


def open_cached(path: Path, layout: Reader, *, on_bad: OnBad) -> Dataset:
    """Open a data set from the cache, reading it first when it is not there."""
    folder = _folder(path, layout, on_bad)
    if not (folder / "meta.json").exists():
        _write(folder, path, layout, on_bad)
        _forget_oldest(keep=folder)
    os.utime(folder)  # the least recently used entry goes first
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    return Dataset(
        name=meta["name"],
        title=layout.title,
        index=pd.read_parquet(folder / "index.parquet"),
        expressions=Expressions(meta["vocabulary"], tuple(meta["expressions"])),
        skipped=tuple(Skipped(**bad) for bad in meta["skipped"]),
        folder=folder,
        licence=layout.licence,
        protocol=layout.protocol,
        preparation=meta["preparation"] and Preparation.model_validate(meta["preparation"]),
        fingerprint=meta["fingerprint"],
    )


def is_cached(path: Path, layout: Reader) -> bool:
    """Whether a data set is in the cache, so that it opens in milliseconds."""
    return any((_folder(path, layout, on_bad) / "meta.json").exists() for on_bad in ("refuse", "skip"))


def _folder(path: Path, layout: Reader, on_bad: str) -> Path:
    files = [_files(place) for place in (path, *layout.beside(path))]
    return cache() / "datasets" / hashlib.sha256(repr((VERSION, layout.name, on_bad, files)).encode()).hexdigest()[:20]


def _files(path: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of each file of a set (nothing for a built-in one)."""
    if not path.exists():
        return []
    if path.is_file():
        stat = path.stat()
        return [(str(path), stat.st_size, stat.st_mtime_ns)]
    found = [(str(path), 0, 0)]
    for folder, _, files in os.walk(path):
        for name in files:
            stat = os.stat(os.path.join(folder, name), follow_symlinks=False)
            found.append((os.path.relpath(os.path.join(folder, name), path), stat.st_size, stat.st_mtime_ns))
    return sorted(found)


def _write(folder: Path, path: Path, layout: Reader, on_bad: OnBad) -> None:
    reading = layout.read(path, on_bad=on_bad)
    if not len(reading.index):
        raise DataError(f"{path}: no images found; expected the layout {layout.title}.")
    index = _with_hashes(reading, layout)
    content = fingerprint(index[HASH], index["split"] + " " + index["label"])
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".writing-"))
    try:
        if reading.encoded is not None:
            (temporary / "images").mkdir()
            for row, image in enumerate(reading.encoded):
                (temporary / "images" / f"{row:07d}").write_bytes(image)
            index = index.assign(file=[str(folder / "images" / f"{row:07d}") for row in range(len(index))])
        index.to_parquet(temporary / "index.parquet", index=False)
        if reading.pixels is not None:
            np.save(temporary / "pixels.npy", reading.pixels)
        meta = {
            "path": str(path),
            "name": layout.called(path, content, _is_itself(layout, index)),
            "fingerprint": content,
            "vocabulary": reading.expressions.name,
            "expressions": reading.expressions.names,
            "skipped": [asdict(entry) for entry in reading.skipped],
            "preparation": reading.preparation and reading.preparation.model_dump(),
        }
        (temporary / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
        os.replace(temporary, folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if not (folder / "meta.json").exists():  # another process may just have finished the same work
            raise DataError(f"The cache {folder.parent} cannot be written ({error}); free some space there.") from error


def _with_hashes(reading: Reading, layout: Reader) -> pd.DataFrame:
    """The index with each image's hash; a set made of others brings them along."""
    index = reading.index
    if HASH in index.columns and layout.name in (
        "made",
        "ferplus",
    ):  # in others a column of the user's, or of the source
        return index
    in_file = (index["file"].fillna("") != "").to_numpy() if "file" in index.columns else np.zeros(len(index), bool)
    number = np.cumsum(~in_file) - 1  # among the images without a file
    boxed = "left" in index.columns

    def one(row: int) -> str:
        if reading.encoded is not None:
            return image_hash(decode(reading.encoded[row]))
        if not in_file[row]:
            assert reading.pixels is not None
            return image_hash(reading.pixels[number[row]])
        image = decode(Path(str(index["file"].iloc[row])))
        return image_hash(face_in(image, index.iloc[row]) if boxed else image)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return index.assign(**{HASH: list(pool.map(one, range(len(index))))})


def _is_itself(layout: Reader, index: pd.DataFrame) -> bool:
    """Whether the content is that of the set named by the layout; True where its content is not known."""
    return is_original(layout.dataset, index) if layout.dataset in known_sets() else True


def images_at(dataset: Dataset, spec: ImageSpec) -> NDArray[np.uint8]:
    """All images of a set at a network's size, memory-mapped. Written at the first call for a size and preparation."""
    native = dataset.folder / "pixels.npy"
    shape = (spec.height, spec.width) if spec.channels == 1 else (spec.height, spec.width, 3)
    todo = spec.after(dataset.preparation).preparation
    if native.exists():
        pixels: NDArray[np.uint8] = np.load(native, mmap_mode="r")
        if pixels.shape[1:] == shape and len(pixels) == len(dataset) and todo is None:
            return pixels
    prepared = f"-{hashlib.sha256(todo.model_dump_json().encode()).hexdigest()[:12]}" if todo else ""
    path = dataset.folder / f"pixels-{'x'.join(map(str, shape))}{prepared}.npy"
    if not path.exists():
        in_file = dataset.in_file
        number = np.cumsum(~in_file) - 1  # among the images without a file

        def one(row: int) -> NDArray[np.uint8]:
            return dataset.as_given(dataset.picture(row) if in_file[row] else pixels[number[row]], spec)

        handle, temporary = tempfile.mkstemp(dir=dataset.folder, suffix=".npy")
        os.close(handle)
        try:
            written = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=(len(dataset), *shape))
            with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoding and resizing leave Python's lock
                for row, picture in enumerate(pool.map(one, range(len(dataset)))):
                    written[row] = picture
            written.flush()
            os.replace(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    resized: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return resized


def _forget_oldest(keep: Path) -> None:
    """Delete the least recently used entries until the cache is below `KEEP_GB`."""
    entries = sorted((entry for entry in keep.parent.iterdir() if entry.is_dir()), key=lambda e: e.stat().st_mtime)
    sizes = {entry: sum(f.stat().st_size for f in entry.rglob("*") if f.is_file()) for entry in entries}
    total = sum(sizes.values())
    for entry in entries:
        if total <= KEEP_GB * 1e9 or entry == keep:
            break
        shutil.rmtree(entry, ignore_errors=True)
        total -= sizes[entry]
