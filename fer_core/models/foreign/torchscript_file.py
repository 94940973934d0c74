"""TorchScript: run by torch's own interpreter. The file is a program, though not a Python one; gradients go through it."""

from __future__ import annotations

import io
import warnings
import zipfile

import torch

from fer_core.errors import CheckpointError, shortened
from fer_core.models.foreign import FORMATS, Format, Opened


def knows(content: bytes) -> bool:
    """A zip with code and constants, which a plain checkpoint lacks."""
    names = zip_names(content)
    return any("/code/" in name for name in names) and any(name.endswith("/constants.pkl") for name in names)


def zip_names(content: bytes) -> list[str]:
    """The names in an archive; none where there is no archive."""
    try:
        return zipfile.ZipFile(io.BytesIO(content)).namelist()
    except zipfile.BadZipFile:
        return []


def open_torchscript(content: bytes, gradients: bool) -> Opened:
    """
    Raises:
        CheckpointError: the file is damaged or needs operators that torch does not have.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its deprecation
            network = torch.jit.load(io.BytesIO(content), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(f"torch cannot open this TorchScript file: {shortened(str(error), 200)}.") from error
    return Opened(network)


FORMATS.register("torchscript")(Format("TorchScript network", knows, open_torchscript))
