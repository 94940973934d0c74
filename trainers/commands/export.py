"""`ferscope export`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

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
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            help="Copy onnxruntime-web, which npm brings, into the page's folder. Without it the page loads it from "
            "cdn.jsdelivr.net, checked by its hash.",
        ),
    ] = False,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="Weights and activations in eight bits: a quarter of the size. Measured first."),
    ] = False,
    data: Annotated[
        str,
        typer.Option(
            help="Data set for --int8: its training part calibrates, its validation set measures. Default: the set that the "
            "network was trained on, if it was added, otherwise rendered heads."
        ),
    ] = "",
    accept_loss: Annotated[
        bool,
        typer.Option("--accept-loss", help="Write the file of --int8 even if it loses more than a point of accuracy."),
    ] = False,
    script: Annotated[bool, typer.Option(help="Also write predict_onnx.py, which works without FERscope.")] = True,
    as_json: AsJson = False,
) -> None:
    """Write a network as ONNX with a prediction script, or networks as a web page that works on the visitor's device."""
    if (to is None) == (web is None):
        raise ConfigError("Name the ONNX file with --out, or the folder of a web page with --web, one of the two.")
    if web is not None and int8:
        raise ConfigError("A web page holds networks of 32 bits; give --int8 together with --out.")
    if offline and web is None:
        raise ConfigError("--offline belongs to --web; add it, or leave --offline out.")
    if (data or accept_loss) and not int8:
        raise ConfigError("--data and --accept-loss belong to --int8; add it, or leave them out.")
    if web is not None:
        _export_page(checkpoints, web, offline, as_json)
    elif to is not None:
        if len(checkpoints) > 1:
            raise ConfigError(
                f"An ONNX file holds one network, found {len(checkpoints)}; a web page takes several: --web."
            )
        facts = _write_int8(checkpoints[0], to, data, accept_loss, as_json) if int8 else _write(checkpoints[0], to)
        _report_file(to, script, as_json, *facts)


def _export_page(names: list[str], folder: Path, offline: bool, as_json: bool) -> None:
    from fer_core.reports.web_page import write_page
    from fer_core.runs.store import find

    files = write_page([find(name) for name in names], folder, offline=offline)
    size = sum(file.stat().st_size for file in files)
    if as_json:
        print(json.dumps({"files": list(map(str, files)), "bytes": size}))
        return
    out.print(
        f"{folder} written, {size / 1e6:.1f} MB. Try it: python -m http.server --directory {folder}, then open "
        "http://localhost:8000. Any static host serves it as it is."
        + ("" if offline else " It loads onnxruntime-web from cdn.jsdelivr.net; with --offline it asks no other host."),
        soft_wrap=True,
    )


def _write(name: str, to: Path) -> tuple[str, dict[str, Any]]:
    from fer_core.runs.store import find
    from fer_core.serving.export import export_onnx

    apart = export_onnx(find(name).folder, to)
    return f"its probabilities differ from torch's by at most {apart:.1g}", {"largest_difference": apart}


def _write_int8(name: str, to: Path, data: str, accept_loss: bool, as_json: bool) -> tuple[str, dict[str, Any]]:
    from fer_core.evaluation.intervals import bounded, percent
    from fer_core.runs.store import find
    from fer_core.serving.quantise import calibrating_data, export_int8

    found = find(name)
    dataset = calibrating_data(found.card, data)
    if not data and dataset.title not in found.card.data:
        Console(stderr=True).print(
            f"{found.card.data} was not added, so {dataset.title.lower()} calibrate and measure. What is lost on photos may be "
            "more: name a data set with --data.",
            soft_wrap=True,
        )
    with Progress(console=out, transient=True, disable=as_json) as bar:
        task = bar.add_task(f"Measuring on {dataset.title}", total=None)
        done = export_int8(
            found.folder, to, dataset, accept_loss=accept_loss, on_batch=lambda n: bar.update(task, completed=n)
        )
    cost = done.difference
    change = bounded(cost.accuracy, *cost.accuracy_interval, " points", form="+.1f")
    said = (
        f"{done.before / done.size:.1f} times smaller. Calibrated on images of the training part of {done.data}. Accuracy "
        f"{percent(done.accuracy)} on its split {done.split}, {change} from 32 bits, n = {cost.n:,}"
    )
    return said, {
        "bytes": done.size, "bytes_before": done.before, "data": done.data, "split": done.split, "n": cost.n,
        "accuracy": done.accuracy, "difference": cost.accuracy, "difference_interval": list(cost.accuracy_interval),
    }  # fmt: skip


def _report_file(to: Path, script: bool, as_json: bool, said: str, facts: dict[str, Any]) -> None:
    files = [to]
    if script:
        files.append(to.with_name("predict_onnx.py"))
        shutil.copyfile(SCRIPT, files[-1])
    if as_json:
        print(json.dumps({"files": list(map(str, files)), **facts}))
        return
    out.print(f"{to} written, {to.stat().st_size / 2**20:.1f} MB; {said}.", soft_wrap=True)
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
