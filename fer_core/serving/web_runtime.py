"""onnxruntime-web, which the web page runs networks with: one version of npm's package, checked by its hash.

The page loads it from `HOST`, where the browser checks each file, or it is copied beside the page and checked here.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from fer_core.errors import ConfigError
from fer_core.workspace import cache, write_atomically

VERSION = "1.30.0"
PATIENCE = 120  # seconds for npm, which tries for minutes where there is no network
SHA512 = (
    "ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca"
    "590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61"
)
HOST = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{VERSION}/dist/"  # serves what npm has, by version
# The form for every browser, and the one that also knows WebGPU: the module, what starts the binary, and the binary, each with
# the hash by which the browser checks it.
FORMS = {
    "wasm": {
        "ort.wasm.min.mjs": "SfFfy/pvthiOsgaw3KX0bV5TfQ6Iq+oY9KutMe4SxIuHH4cl+DCSD4rTsYOoG1tJ",
        "ort-wasm-simd-threaded.mjs": "XcXA/MtAf0WpB8e023xQH9CM7RIjiugakT7x99DIwpFf7k56BIFFcAPerIF7FDad",
        "ort-wasm-simd-threaded.wasm": "vjBJ1z7qrhkTyYsNqKeF6c7N+nOJSU94czEo+tvZcu8G75JparGq9kB+kTnEUNVM",
    },
    "webgpu": {
        "ort.jspi.min.mjs": "hnY3dmDl7curvyz6lkx38Kay4ABvmrc2eLalE2aG75/xP4F0aki78pYdWmHjk6YD",
        "ort-wasm-simd-threaded.jspi.mjs": "I057lW+dSDOqTXP3UpXfKPmGgLn8O9NoN38eP6T6wlQsduqNDHJebkOSjnM52LlE",
        "ort-wasm-simd-threaded.jspi.wasm": "bMP/XSpH5FjIIaVnUc1eR3cDsGZGdO1ZPjcHGEtvMwOgZZFcOEN8VrGooR81HSFO",
    },
}  # fmt: skip
PARTS = ("module", "glue", "binary")


class RuntimeMissing(ConfigError):
    """npm, or what it would bring, cannot be had on this machine."""


def runtime_files() -> dict[str, bytes]:
    """The runtime's files by name, to be copied; binaries are gzipped, which makes them a quarter as large on any host.

    Raises:
        RuntimeMissing: npm is not here or does not answer.
        ConfigError: the package is another than the one that is known.
    """
    with tarfile.open(fileobj=io.BytesIO(_package())) as archive:
        files: dict[str, bytes] = {}
        for name in (name for form in FORMS.values() for name in form):
            member = archive.extractfile(f"package/dist/{name}")
            assert member is not None, name  # the hash tells that it is there
            data = member.read()
            files |= {f"{name}.gz": gzip.compress(data, mtime=0)} if name.endswith(".wasm") else {name: data}
    return files


def copied(folder: str) -> dict[str, dict[str, dict[str, str]]]:
    """Where the page finds the files of `runtime_files`, copied into a folder beside it: {form: {part: {address}}}."""
    return {
        form: {
            part: {"address": f"{folder}/{name}" + (".gz" if name.endswith(".wasm") else "")}
            for part, name in zip(PARTS, files, strict=True)
        }
        for form, files in FORMS.items()
    }


def referenced() -> dict[str, dict[str, dict[str, str]]]:
    """Where the page finds them on `HOST`, with the hash that the browser checks: {form: {part: {address, integrity}}}."""
    return {
        form: {
            part: {"address": HOST + name, "integrity": f"sha384-{sha}"}
            for part, (name, sha) in zip(PARTS, files.items(), strict=True)
        }
        for form, files in FORMS.items()
    }


def _package() -> bytes:
    """The package as npm has it, from the workspace's cache where it is kept."""
    kept = cache() / f"onnxruntime-web-{VERSION}.tgz"
    if kept.is_file() and hashlib.sha512(data := kept.read_bytes()).hexdigest() == SHA512:
        return data
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeMissing(
            f"The page needs onnxruntime-web {VERSION}, which npm brings, and npm is not here: install Node.js, or put the "
            f"package's file at {kept}."
        )
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"onnxruntime-web@{VERSION}", "--silent"]
        try:
            answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise RuntimeMissing(
                f"npm did not bring onnxruntime-web {VERSION} within {PATIENCE} seconds; check the network, or put the "
                f"package's file at {kept}."
            ) from error
        found = list(Path(folder).glob("*.tgz"))
        if answer.returncode or not found:
            raise RuntimeMissing(
                f"npm did not bring onnxruntime-web {VERSION} ({answer.stderr.strip()[-200:] or 'no file came'}); check the "
                f"network, or put the package's file at {kept}."
            )
        data = found[0].read_bytes()
    if (sha := hashlib.sha512(data).hexdigest()) != SHA512:
        raise ConfigError(
            f"npm's onnxruntime-web {VERSION} is another file than the one that is known (SHA-512 {sha[:12]}…, expected "
            f"{SHA512[:12]}…), so it is not used."
        )
    write_atomically(kept, data)
    return data
