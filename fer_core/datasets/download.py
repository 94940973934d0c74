"""Download a data set where its owners allow it; for all others, say how to get it.

FER2013 comes from its Kaggle competition through `kagglehub`, with an account of your own that has accepted the rules
there. Everything else needs an agreement that only a person can sign.
"""

from __future__ import annotations

import importlib
import tarfile
from pathlib import Path

from fer_core.datasets import READERS
from fer_core.errors import DataError, UnknownName

KAGGLE = {"fer2013": "challenges-in-representation-learning-facial-expression-recognition-challenge"}
INSIDE = {"fer2013": ("icml_face_data.csv", "fer2013.csv", "fer2013/fer2013.csv")}


def get(name: str) -> Path:
    """Download a set and return the path to open.

    Raises:
        DataError: it cannot be downloaded by a program, or kagglehub, an account or the internet is missing; the message
            says which and what to do.
        UnknownName: no such set.
    """
    if name not in KAGGLE:
        raise DataError(how_to_get(name))
    try:
        import kagglehub
        from kagglehub import exceptions
    except ImportError as error:
        raise DataError("The download needs kagglehub: pip install 'ferscope[download]'.") from error
    page = f"kaggle.com/competitions/{KAGGLE[name]}"
    try:
        folder = Path(kagglehub.competition_download(KAGGLE[name]))
    except (exceptions.UnauthenticatedError, exceptions.CredentialError) as error:
        raise DataError(
            "Kaggle needs an account: make a token at kaggle.com/settings, set KAGGLE_API_TOKEN to it (or save kaggle.json "
            f"in ~/.kaggle), accept the rules at {page}/rules, and start again."
        ) from error
    except exceptions.KaggleApiHTTPError as error:
        raise DataError(f"Kaggle refused the download ({error}); accept the rules at {page}/rules first.") from error
    except (OSError, exceptions.BackendError, exceptions.DataCorruptionError, exceptions.NotFoundError) as error:
        raise DataError(
            f"Kaggle cannot be reached ({type(error).__name__}); is there internet? Or download the csv by hand from {page} "
            "and add it with `ferscope data add PATH`."
        ) from error
    return _csv(folder, name)


def _csv(folder: Path, name: str) -> Path:
    """The csv of a download, unpacked from its tar if need be."""
    for inside in INSIDE[name]:
        if (folder / inside).is_file():
            return folder / inside
    for archive in sorted(folder.glob("*.tar.gz")):
        with tarfile.open(archive) as tar:
            for inside in INSIDE[name]:
                if inside in tar.getnames():
                    tar.extract(inside, folder, filter="data")
                    return folder / inside
    raise DataError(f"{folder}: the download holds no {INSIDE[name][0]}; open what there is with `ferscope data add`.")


def how_to_get(name: str) -> str:
    """How to get a data set, from its reader's documentation.

    Raises:
        UnknownName: no such set.
    """
    found = {}
    for _, layout in READERS.items():
        text = " ".join(str(importlib.import_module(layout.read.__module__).__doc__).split())
        _, known, way = text.partition("To get it: ")
        if known:
            found[layout.dataset] = layout, way.rstrip(".")
    if name not in found:
        raise UnknownName("data set", name, sorted({*KAGGLE, *found}))
    layout, way = found[name]
    return (
        f"{layout.title} cannot be downloaded by a program. To get it: {way}. Then: ferscope data add PATH "
        f"--name {name}."
    )
