"""The fastest precision and memory format for a network on this machine: measured once and stored, or set by the
recipe.

Formats round differently, and the fastest one can change with the load of the machine. So a network is measured once
per machine, and later trainings use the same format: equal recipes and seeds give equal weights. `speed/` of the
workspace holds the measurements; without a file it is measured again.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from filelock import FileLock
from torch import nn

from fer_core.images import ImageSpec
from fer_core.recipe import TrainConfig
from fer_core.workspace import home, write_atomically

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
PROBE_BATCH = 32  # on a processor; a GPU is not busy with so few, and measured on the recipe's own
Pair = tuple[str, str]  # precision, memory format


def choose_speed(
    model: nn.Module, spec: ImageSpec, classes: int, device: torch.device, config: TrainConfig
) -> tuple[str, str, str]:
    """(precision, memory format, a sentence that says why).

    Without bf16 units (avx512_bf16 or AMX) a processor emulates bf16 ten times slower than fp32, so that it is tried
    only where they exist. On CUDA bf16 is taken where the GPU has it, fp16 else.
    """
    precisions = [config.precision] if config.precision != "auto" else _worth_trying(device)
    formats = [config.memory_format] if config.memory_format != "auto" else ["contiguous", "channels_last"]
    pairs: list[Pair] = [(precision, layout) for precision in precisions for layout in formats]
    if len(pairs) > 1 and _crashes(model, device):
        pairs = [pair for pair in pairs if pair != ("fp32", "channels_last")]
    if len(pairs) == 1:
        return *pairs[0], f"{pairs[0][0]}, {pairs[0][1]}: the only setting that the recipe and the device leave"
    batch = config.batch_size if device.type == "cuda" else PROBE_BATCH
    path = _kept_at(spec, classes, device, config, batch, pairs)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):  # two runs that start together measure once
        if kept := _read(path, pairs):
            return kept
        precision, layout, why = _fastest(model, spec, classes, device, batch, pairs)
        measured = {"precision": precision, "memory_format": layout, "why": why, "measured": time.strftime("%Y-%m-%d")}
        write_atomically(path, json.dumps(measured, indent=2).encode())
    return precision, layout, f"{why}; measured now and kept in {path}"


def _fastest(
    model: nn.Module, spec: ImageSpec, classes: int, device: torch.device, batch: int, pairs: list[Pair]
) -> tuple[str, str, str]:
    seconds = {pair: _measure(model, spec, classes, device, batch, *pair) for pair in pairs}
    working = {pair: value for pair, value in seconds.items() if value is not None}
    if not working:
        return "fp32", "contiguous", "fp32, contiguous: no faster setting ran without an error"
    best = min(working, key=lambda pair: working[pair])
    rates = ", ".join(
        f"{precision} {layout} {f'{batch / value:.0f} images/s' if value else 'failed'}"
        for (precision, layout), value in seconds.items()
    )
    return *best, f"{best[0]}, {best[1]}: the fastest of {rates}"


def _read(path: Path, pairs: list[Pair]) -> tuple[str, str, str] | None:
    """A measurement that was kept; None where there is none, or one that was damaged."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        precision, layout = kept["precision"], kept["memory_format"]
        why = f"{kept['why']}, as measured on {kept['measured']} ({path})"
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (precision, layout, why) if (precision, layout) in pairs else None


def _kept_at(
    spec: ImageSpec, classes: int, device: torch.device, config: TrainConfig, batch: int, pairs: list[Pair]
) -> Path:
    """The file of whatever the speed depends on: the machine, torch, the network and its input."""
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    asked = (config.network, sorted(config.arguments.items()), spec.shape, classes, batch, pairs)
    key = repr((device.type, machine, os.cpu_count(), torch.get_num_threads(), torch.__version__, asked))
    return home() / "speed" / f"{config.network}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.json"


def _processor() -> str:
    """The processor's model where the system tells it, else its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return next((line for line in lines if line.startswith("model name")), platform.processor() or platform.machine())


def _crashes(model: nn.Module, device: torch.device) -> bool:
    """Whether fp32 in channels_last ends the process: a 1x1 convolution of stride 2 does in backward, on processors."""
    return device.type == "cpu" and any(
        isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.stride != (1, 1)
        for module in model.modules()
    )


def _worth_trying(device: torch.device) -> list[str]:
    if device.type == "cuda":
        return ["bf16" if torch.cuda.is_bf16_supported() else "fp16"]
    if device.type == "cpu" and (_has("avx512_bf16") or _has("amx_tile")):
        return ["fp32", "bf16"]
    return ["fp32"]


def _has(feature: str) -> bool:
    supported = getattr(torch.cpu, f"_is_{feature}_supported", None)
    return bool(supported and supported())


def _measure(
    model: nn.Module, spec: ImageSpec, classes: int, device: torch.device, batch: int, precision: str, layout: str
) -> float | None:
    """Seconds of a training step of `batch` images (the faster of two after a first), None if it fails."""
    import copy

    memory_format = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    probe = copy.deepcopy(model).to(device).to(memory_format=memory_format).train()
    images = torch.zeros(batch, *spec.shape, device=device).contiguous(memory_format=memory_format)
    labels = torch.arange(batch, device=device) % classes
    times = []
    try:
        for _ in range(3):
            start = time.perf_counter()
            with torch.autocast(device.type, dtype=PRECISIONS[precision], enabled=precision != "fp32"):
                loss = F.cross_entropy(probe(images), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            if not torch.isfinite(loss.detach()):
                return None
            times.append(time.perf_counter() - start)
    except RuntimeError:  # a kernel that this build lacks, or too little memory: another setting is taken
        return None
    return min(times[1:])
