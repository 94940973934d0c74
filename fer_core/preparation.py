"""From photos to a set of faces: find, align, cut, light evenly, scale, and write beside the source, never over it.

`prepare` works through a whole set in parallel. What is written is a folder of class folders with `prepared.csv`, which
keeps split, label, person and the like, and `prepare.json`, which says how it was made; started again with the same
settings it goes on where it was stopped. Illumination steps (`LIGHT`) are pure functions on one grey picture.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from fer_core.datasets import Dataset
from fer_core.errors import DataError, FerError
from fer_core.faces import DETECTORS, FER2013_MARGIN, Face, FaceCrop
from fer_core.images import ImageSpec, fit
from fer_core.workspace import write_atomically

Grey = NDArray[np.uint8]
INDEX = "prepared.csv"
SETTINGS = "prepare.json"
# Eyes of an aligned face, as shares of the side: the distance between the eyes is 0.3 of it and they lie at 0.38 from the
# top, about where mtcnn finds them in FER2013's pictures.
EYES_APART, EYES_DOWN = 0.30, 0.38


def equalise(grey: Grey) -> Grey:
    """Histogram equalisation: every grey level as frequent as any other."""
    import cv2

    return np.asarray(cv2.equalizeHist(grey), dtype=np.uint8)


def clahe(grey: Grey) -> Grey:
    """Contrast-limited adaptive equalisation (Zuiderveld 1994): by tiles of an eighth of the side, limit 2."""
    import cv2

    return np.asarray(cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(grey), dtype=np.uint8)


def gamma(grey: Grey) -> Grey:
    """The power that brings the mean to the middle grey, between 0.4 and 2.5."""
    share = grey / 255.0
    mean = float(np.clip(share.mean(), 1e-3, 1 - 1e-3))
    power = float(np.clip(np.log(0.5) / np.log(mean), 0.4, 2.5))
    return np.asarray(np.rint(255 * share**power), dtype=np.uint8)


def difference_of_gaussians(grey: Grey) -> Grey:
    """Preprocessing chain of Tan and Triggs 2010 (IEEE TIP 19): gamma 0.2, Gaussians of 1 and 2 pixels, both tails tamed.

    Sigmas are for a face of about 128 pixels and grow with the side, 0.5 pixels at least.
    """
    import cv2

    values = (grey / 255.0).astype(np.float32) ** 0.2
    unit = max(0.5, min(grey.shape) / 128)
    fine, coarse = (cv2.GaussianBlur(values, (0, 0), sigma * unit) for sigma in (1.0, 2.0))
    band = np.asarray(fine - coarse, dtype=np.float64)
    for limit in (np.inf, 10.0):  # equalise the contrast twice, the second time without its largest values
        scale = float(np.mean(np.minimum(np.abs(band), limit) ** 0.1) ** 10)
        if scale < 1e-12:
            return np.full_like(grey, 128)
        band = band / scale
    band = 10 * np.tanh(band / 10)
    return _stretched(band)


def without_low_frequencies(grey: Grey) -> Grey:
    """DCT in the logarithm (Chen, Er and Wu 2006, IEEE SMC-B 36): the lowest frequencies, which light makes, are set to
    those of an even picture; the first 3 diagonals without the mean. The result stays a logarithm, as there."""
    import cv2

    height, width = grey.shape
    logarithm = np.log1p(grey.astype(np.float32))
    even = cv2.copyMakeBorder(logarithm, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)  # OpenCV's takes even sizes
    spectrum = np.asarray(cv2.dct(even))
    down, across = np.indices(spectrum.shape)
    spectrum[(down + across > 0) & (down + across < 4)] = 0
    spectrum[0, 0] = np.log(128) * np.sqrt(even.size)
    return _stretched(np.asarray(cv2.idct(spectrum), dtype=np.float64)[:height, :width])


def isotropic_diffusion(grey: Grey) -> Grey:
    """Reflectance by isotropic diffusion: the picture divided by its smoothed self (heat equation, time 7 pixels squared
    at a side of 128), as a variant of Gross and Brajovic 2003."""
    import cv2

    values = grey.astype(np.float32) + 1
    sigma = max(1.0, np.sqrt(2 * 7) * 2 * min(grey.shape) / 128)  # diffusion for a time t is a Gaussian of sqrt(2 t)
    light = cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return _stretched(np.asarray(values / light, dtype=np.float64))


def _stretched(values: NDArray[np.float64]) -> Grey:
    """To 0..255, without the outermost hundredth at each end; a constant picture becomes middle grey."""
    low, high = np.percentile(values, (1, 99))
    if high - low < 1e-3 * max(1.0, abs(float(low))):  # rounding of 32 bits, not light
        return np.full(values.shape, 128, np.uint8)
    return np.asarray(np.rint(np.clip((values - low) / (high - low), 0, 1) * 255), dtype=np.uint8)


LIGHT: dict[str, Callable[[Grey], Grey]] = {
    "equalise": equalise,
    "clahe": clahe,
    "gamma": gamma,
    "dog": difference_of_gaussians,
    "dct": without_low_frequencies,
    "diffusion": isotropic_diffusion,
}


class Preparation(BaseModel):
    """What happens to each picture, in this order. With the detector “none” the picture is a face already."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    detector: str = Field("mtcnn", description="mtcnn, haar (Viola-Jones), yunet, or none.")
    faces: Literal["largest", "all"] = Field("largest", description="Of several faces in a picture.")
    min_size: float = Field(32.0, ge=8, description="Longer side of the smallest face that is looked for, pixels.")
    margin: float | None = Field(None, ge=-0.5, le=2, description="Around the box; None frames as FER2013 does.")
    align: Literal["none", "upright", "eyes"] = Field("none", description="Eyes level, or at fixed places too.")
    grey: bool = False
    size: int = Field(0, ge=0, le=1024, description="Side of the result, pixels; 0 keeps the cut's.")
    light: tuple[Literal["equalise", "clahe", "gamma", "dog", "dct", "diffusion"], ...] = ()

    @field_validator("detector")
    @classmethod
    def _known(cls, name: str) -> str:
        DETECTORS.get(name)
        return name

    @property
    def framing(self) -> FaceCrop:
        """The crop that a network trained on the result has to be served with."""
        margin = FER2013_MARGIN.get(self.detector, 0.0) if self.margin is None else self.margin
        return FaceCrop(detector=self.detector, margin=margin, upright=self.align != "none")

    def find(self, picture: NDArray[np.uint8]) -> list[Face]:
        """The faces that are wanted, the largest first."""
        found = self.framing.find(picture, self.min_size)
        return found[:1] if self.faces == "largest" else found

    def cut(self, picture: NDArray[np.uint8], face: Face) -> NDArray[np.uint8]:
        """One prepared face: (side, side) grey or (side, side, 3) RGB uint8; not square with detector “none” and size 0."""
        if self.align == "eyes" and face.points is not None:
            face_picture = by_eyes(picture, face, self.size or max(16, round(face.size)))
        else:
            face_picture = self.framing.cut(picture, face)
        channels: Literal[1, 3] = 1 if self.grey or self.light or face_picture.ndim == 2 else 3
        height, width = (self.size, self.size) if self.size else face_picture.shape[:2]
        face_picture = fit(face_picture, ImageSpec.model_construct(channels=channels, height=height, width=width))
        for step in self.light:
            face_picture = LIGHT[step](np.ascontiguousarray(face_picture))
        return face_picture


def by_eyes(picture: NDArray[np.uint8], face: Face, side: int) -> NDArray[np.uint8]:
    """The face turned, scaled and moved so that its eyes lie level at fixed places; (side, side) like `picture`.

    Shrinking is antialiased: it is cut at twice the side or more and averaged.
    """
    import cv2

    assert face.points is not None
    left, right = face.points[0].astype(float), face.points[1].astype(float)
    apart = float(np.hypot(*(right - left)))
    fine = max(1, min(8, int(np.ceil(apart / (EYES_APART * side))))) * side
    scale = EYES_APART * fine / max(apart, 1e-6)
    across, down = (right - left) / max(apart, 1e-6)
    turn = scale * np.array([[across, down], [-down, across]])
    middle = (left + right) / 2 - 0.5  # whole numbers are the middles of pixels in OpenCV, and their edges in a box
    shift = np.array([0.5, EYES_DOWN]) * fine - 0.5 - turn @ middle
    cut = cv2.warpAffine(
        np.ascontiguousarray(picture), np.column_stack([turn, shift]), (fine, fine), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return np.asarray(
        cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA) if fine > side else cut, dtype=np.uint8
    )


@dataclass(frozen=True)
class Done:
    """What became of one picture of the source: the files written, none where no face was found, or what was wrong."""

    row: int
    files: tuple[str, ...]
    problem: str = ""


def prepare(
    dataset: Dataset, target: Path, settings: Preparation, source: Path, workers: int | None = None
) -> Iterator[Done]:
    """Prepare a set into a folder, yielding each picture as it is done; stop and start again as you like.

    Args:
        dataset: the open set.
        target: a folder beside the source; what is there already from the same settings is kept.
        source: the set's own path, which must not be touched.
        workers: processes; None takes one for each processor.

    Raises:
        DataError: the target is the source, lies in it, holds it, holds other things, or was made with other settings.
    """
    target, source = target.expanduser().resolve(), source.expanduser().resolve()
    if target == source or target.is_relative_to(source) or (source.is_relative_to(target) and source.exists()):
        raise DataError(f"{target} would lie over the source {source}; choose a folder beside it.")
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
    """A name below the target for each picture, without ending: `<split>/<label>/<id>`, safe on every system, no two alike."""
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
            path = target / (f"{name}.png" if number == 0 else f"{name}-face{number + 1}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            Image.fromarray(settings.cut(picture, face)).save(part, "PNG")
            os.replace(part, path)
            written.append(path.relative_to(target).as_posix())
    except (FerError, OSError, ValueError) as error:
        return Done(row, (), str(error))
    return Done(row, tuple(written), "" if written else "no face was found")


def _claim(target: Path, text: str) -> None:
    """Make the folder ours, or see that it is."""
    settings = target / SETTINGS
    if settings.exists():
        if settings.read_text(encoding="utf-8") != text:
            raise DataError(f"{target} was made with other settings ({settings}); choose another folder, or delete it.")
        return
    if target.exists() and any(target.iterdir()):
        raise DataError(f"{target} is not empty and no prepared set; choose a new folder.")
    write_atomically(settings, text.encode())


def _past(target: Path) -> dict[str, tuple[tuple[str, ...], str]]:
    """What an earlier start did, by name; a line that was cut off is done again."""
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
    return {name: done for name, done in found.items() if all((target / file).exists() for file in done[0])}


def _write_index(dataset: Dataset, target: Path, results: list[Done]) -> None:
    rows: list[dict[str, Any]] = []
    index = dataset.index.drop(
        columns=[c for c in ("file", "left", "top", "width", "height") if c in dataset.index.columns]
    )
    records = index.to_dict("records")
    for done in sorted(results, key=lambda done: done.row):
        for number, file in enumerate(done.files):
            record = {str(key): value for key, value in records[done.row].items()}
            rows.append({**record, "id": record["id"] if number == 0 else f"{record['id']}#{number + 1}", "file": file})
    table = pd.DataFrame(rows, columns=[*index.columns, "file"])
    write_atomically(target / INDEX, table.to_csv(index=False).encode())
