"""The device that a network is trained on."""

from __future__ import annotations

import platform

import torch

from fer_core.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """The device of a setting; “auto” takes CUDA, then Apple's MPS, then the processor.

    Raises:
        ConfigError: this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.mps.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device = “{name}”, but torch finds no CUDA device here; use auto or cpu.")
    if name == "mps" and not torch.mps.is_available():
        raise ConfigError("device = “mps”, but this machine has no such device; use auto or cpu.")
    return torch.device(name)


def describe(device: torch.device) -> str:
    """A device in words, for status and card."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    words = f"{platform.machine()} processor, {threads} thread{'s' if threads != 1 else ''}"
    return words if device.type == "cpu" else "Apple GPU"
