"""From photos to a set of faces: each image is prepared and written to a new folder. The source is never changed.

`prepare` works through a whole set in parallel. What is written is a folder of class folders with `prepared.csv`, which
keeps split, label, person and the like, and `prepare.json`, which has the settings. When started again with the same
settings, it continues where it stopped.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd

from fer_core.datasets import Dataset
from fer_core.datasets.identity import HASH
from fer_core.errors import DataError, FerError
from fer_core.images import Preparation
from fer_core.workspace import write_atomically

INDEX = "prepared.csv"
SETTINGS = "prepare.json"
NO_FACE = "no face was found"


@dataclass(frozen=True)
class Done:
    """The result for one source image: the files written (none where no face was found), or the problem."""

    row: int
    files: tuple[str, ...]
    problem: str = ""


def prepare(
    dataset: Dataset, target: Path, settings: Preparation, source: Path, workers: int | None = None
) -> Iterator[Done]:
    """Prepare a set into a folder, yielding each image as it is done; stop and start again as you like.

    Args:
        dataset: the open set.
        target: a folder beside the source; what is there already from the same settings is kept.
        source: the set's own path, which must not be touched.
        workers: processes; None takes one for each processor.

    Raises:
        DataError: the target is the source, lies in it, holds it, holds other things, or was made with other settings; the
            source is a prepared set itself.
    """
    if dataset.preparation is not None:
        raise DataError(f"{source} holds prepared faces already; prepare the set that they were made from.")
    target, source = target.expanduser().resolve(), source.expanduser().resolve()
    if target == source or target.is_relative_to(source) or (source.is_relative_to(target) and source.exists()):
        raise DataError(f"{target} would overwrite the source {source}; choose a folder beside it.")
    text = settings.model_dump_json(indent=2)
    _claim(target, text)
    names = file_names(dataset)
    past = _past(target)
    todo = [row for row in range(len(dataset)) if names[row] not in past]
    results: list[Done] = [
        Done(row, past[names[row]][0], past[names[row]][1]) for row in range(len(dataset)) if names[row] in past
    ]
    yield from results
    with (
        ProcessPoolExecutor(
            workers or os.cpu_count(),
            mp_context=get_context("spawn"),  # a forked process inherits locks of torch's and OpenCV's threads
            initializer=_start,
            initargs=(dataset, target, settings),
        ) as pool,
        (target / "done.csv").open("a", encoding="utf-8") as log,
    ):
        for done in pool.map(_one, todo, [names[row] for row in todo], chunksize=4):
            log.write(
                pd.DataFrame([[names[done.row], "|".join(done.files), done.problem]]).to_csv(index=False, header=False)
            )
            log.flush()
            results.append(done)
            yield done
    _write_index(dataset, target, results)


def file_names(dataset: Dataset) -> list[str]:
    """A name below the target for each image, without ending: `<split>/<label>/<id>`, safe on every system, no two alike."""
    names, used = [], set()
    for row in dataset.index[["split", "label", "id"]].itertuples(index=False):
        stem = re.sub(r"[^\w.+#-]+", "_", Path(str(row.id)).with_suffix("").as_posix(), flags=re.UNICODE).strip("._")
        stem = stem.encode()[-150:].decode(errors="ignore") or "picture"  # file systems take 255 bytes
        name, number = f"{row.split}/{row.label}/{stem}", 1
        while name.lower() in used:  # two files of one name, also on systems that know no capitals
            number += 1
            name = f"{row.split}/{row.label}/{stem}~{number}"
        used.add(name.lower())
        names.append(name)
    return names


_job: list[Any] = []  # of a worker process: the set, the target and the settings, sent once


def _start(*job: Any) -> None:
    import cv2

    cv2.setNumThreads(1)  # the processes share the processors already
    _job[:] = job


def _one(row: int, name: str) -> Done:
    from PIL import Image

    dataset, target, settings = _job
    try:
        picture = dataset.picture(row)
        faces = settings.find(picture)
        written = []
        for number, face in enumerate(faces):
            path = target / (f"{name}.png" if number == 0 else f"{name}~face{number + 1}.png")  # no name holds a ~
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            Image.fromarray(settings.cut(picture, face)).save(part, "PNG")
            os.replace(part, path)
            written.append(path.relative_to(target).as_posix())
    except (FerError, OSError, ValueError) as error:
        return Done(row, (), str(error))
    return Done(row, tuple(written), "" if written else NO_FACE)


def _claim(target: Path, text: str) -> None:
    """Mark the folder as the target, or check that it already is."""
    settings = target / SETTINGS
    if settings.exists():
        if settings.read_text(encoding="utf-8") != text:
            raise DataError(f"{target} was made with other settings ({settings}); choose another folder, or delete it.")
        return
    if target.exists() and any(target.iterdir()):
        raise DataError(f"{target} is not empty and no prepared set; choose a new folder.")
    write_atomically(settings, text.encode())


def _past(target: Path) -> dict[str, tuple[tuple[str, ...], str]]:
    """What an earlier start did, by name; a line that was cut off is done again, and an image that had a problem: the
    disk may have been full."""
    path = target / "done.csv"
    if not path.exists():
        return {}
    content = path.read_text(encoding="utf-8")
    if content and not content.endswith("\n"):
        content = content[: content.rfind("\n") + 1]
        write_atomically(path, content.encode())
    if not content:
        return {}
    table = pd.read_csv(path, header=None, names=["name", "files", "problem"], dtype="str", keep_default_na=False)
    found = {name: (tuple(filter(None, files.split("|"))), problem) for name, files, problem in table.to_numpy()}
    return {
        name: (files, problem)
        for name, (files, problem) in found.items()
        if problem in ("", NO_FACE) and all((target / file).exists() for file in files)
    }


def _write_index(dataset: Dataset, target: Path, results: list[Done]) -> None:
    rows: list[dict[str, Any]] = []
    index = dataset.index.drop(
        columns=[c for c in ("file", "left", "top", "width", "height", HASH) if c in dataset.index.columns]
    )
    records = index.to_dict("records")
    for done in sorted(results, key=lambda done: done.row):
        for number, file in enumerate(done.files):
            record = {str(key): value for key, value in records[done.row].items()}
            rows.append({**record, "id": record["id"] if number == 0 else f"{record['id']}#{number + 1}", "file": file})
    table = pd.DataFrame(rows, columns=[*index.columns, "file"])
    write_atomically(target / INDEX, table.to_csv(index=False).encode())
