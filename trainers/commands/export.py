"""`ferscope export`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from trainers.console import AsJson, app, out

SCRIPT = Path(__file__).parents[1] / "predict_onnx.py"  # a program of its own: never imported here


@app.command()
def export(
    checkpoint: Annotated[str, typer.Argument(help="Name of a network or run, or the path of its folder.")],
    to: Annotated[
        Path, typer.Option("--out", dir_okay=False, help="The ONNX file to write. It includes the network's card.")
    ],
    script: Annotated[bool, typer.Option(help="Also write predict_onnx.py, which works without FERscope.")] = True,
    as_json: AsJson = False,
) -> None:
    """Write a network as ONNX, checked against torch, with a prediction script for onnxruntime, numpy and OpenCV."""
    from fer_core.runs.store import find
    from fer_core.serving.export import export_onnx

    apart = export_onnx(find(checkpoint).folder, to)
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
