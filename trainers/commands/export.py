"""`ferscope export`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from fer_core.errors import ConfigError
from trainers.console import AsJson, app, out

SCRIPT = Path(__file__).parents[1] / "predict_onnx.py"  # a program of its own: never imported here


@app.command()
def export(
    checkpoints: Annotated[
        list[str], typer.Argument(help="Name of a network or run, or the path of its folder. A web page takes several.")
    ],
    to: Annotated[
        Path | None,
        typer.Option("--out", dir_okay=False, help="The ONNX file to write. It includes the network's card."),
    ] = None,
    web: Annotated[
        Path | None,
        typer.Option(
            "--web", file_okay=False, help="A new folder for a web page that needs no server but a static host."
        ),
    ] = None,
    script: Annotated[bool, typer.Option(help="Also write predict_onnx.py, which works without FERscope.")] = True,
    as_json: AsJson = False,
) -> None:
    """Write a network as ONNX with a prediction script, or networks as a web page that works on the visitor's device."""
    if (to is None) == (web is None):
        raise ConfigError("Name the ONNX file with --out, or the folder of a web page with --web, one of the two.")
    if web is not None:
        _export_page(checkpoints, web, as_json)
    elif to is not None:
        if len(checkpoints) > 1:
            raise ConfigError(
                f"An ONNX file holds one network, found {len(checkpoints)}; a web page takes several: --web."
            )
        _export_file(checkpoints[0], to, script, as_json)


def _export_page(names: list[str], folder: Path, as_json: bool) -> None:
    from fer_core.reports.web_page import write_page
    from fer_core.runs.store import find

    files = write_page([find(name) for name in names], folder)
    size = sum(file.stat().st_size for file in files)
    if as_json:
        print(json.dumps({"files": list(map(str, files)), "bytes": size}))
        return
    out.print(
        f"{folder} written, {size / 1e6:.1f} MB. Try it: python -m http.server --directory {folder}, then open "
        "http://localhost:8000. Any static host serves it as it is.",
        soft_wrap=True,
    )


def _export_file(name: str, to: Path, script: bool, as_json: bool) -> None:
    from fer_core.runs.store import find
    from fer_core.serving.export import export_onnx

    apart = export_onnx(find(name).folder, to)
    files = [to]
    if script:
        files.append(to.with_name("predict_onnx.py"))
        shutil.copyfile(SCRIPT, files[-1])
    if as_json:
        print(json.dumps({"files": list(map(str, files)), "largest_difference": apart}))
        return
    out.print(
        f"{to} written, {to.stat().st_size / 2**20:.1f} MB; its probabilities differ from torch's by at most {apart:.1g}.",
        soft_wrap=True,
    )
    if script:
        out.print(f"Try it: python {files[-1]} {to} IMAGE", soft_wrap=True)


@app.command("model-folder")
def model_folder(
    checkpoint: Annotated[str, typer.Argument(help="Name of a network or run, or the path of its folder.")],
    to: Annotated[Path, typer.Option("--out", file_okay=False, help="A new folder.")],
) -> None:
    """Write a network as a folder for the Hugging Face hub: model card, weights and configuration."""
    from fer_core.reports.model_folder import write_model_folder
    from fer_core.runs.store import find

    files = write_model_folder(find(checkpoint), to)
    out.print(f"{', '.join(path.name for path in files)} written. Next: hf upload YOUR/NAME {to}", soft_wrap=True)
