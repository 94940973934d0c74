"""Compare: a private set (a zip of class folders) beside the benchmark of a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from dashboard.live import html, jobs
from dashboard.live.controls import Chosen, predictor, unique
from dashboard.live.theme import WIDE
from dashboard.live.uploads import GONE, KEPT, MAX_UPLOAD, said, scratch
from fer_core.datasets.class_folders import LEAVE_OUT, decided, members, proposed, words
from fer_core.datasets.titles import table_title
from fer_core.errors import ConfigError, DataError, FerError
from fer_core.evaluation.predictions import Predictions
from fer_core.experiments.private_faces import keep
from fer_core.experiments.private_set import PrivateSetReport, compare_networks
from fer_core.labels import COLOURS
from fer_core.reports import private_set_report
from fer_core.runs import store
from fer_core.serving.predictor import LoadedNetwork as Network


def draw(chosen: Chosen, *, local: bool) -> None:
    """
    Args:
        local: whether this machine's data sets may be read and shown. False where others reach the app.
    """
    found, reports = gr.State({}), gr.State([], time_to_live=KEPT)
    with gr.Row():
        with gr.Column(scale=2):
            upload = gr.File(label="Private set: a zip of class folders", file_types=[".zip"], height=150)
            benchmark = gr.Dropdown([], label="Benchmark")
            gr.HTML(
                html.light(
                    f"A zip of up to {MAX_UPLOAD // 2**20} MB with one folder per expression; 30 images in each are "
                    "enough. If the images are cropped faces, choose “none” as face detector. The upload is not stored."
                )
            )
            problem = gr.HTML()
        with gr.Column(scale=3, min_width=WIDE):
            state = gr.HTML(html.light("Is a network as accurate on your own images as on the benchmark? If not, why?"))

            @gr.render([found], triggers=[found.change])  # type: ignore[untyped-decorator]
            def mapping(counts: dict[str, int]) -> None:
                if not counts:
                    return
                gr.HTML(html.light("Which expression does each folder hold? Check the proposals."))
                folders = {}
                meant = proposed(counts)
                with gr.Row():
                    for name, count in counts.items():
                        folders[name] = gr.Dropdown(
                            [*COLOURS, LEAVE_OUT],
                            value=meant[name],
                            label=f"{name or '(no folder)'}, {count:,}",
                            min_width=150,
                            interactive=True,
                        )
                both = jobs.buttons("Compare")

                def go(
                    path: str | None, networks: list[str], key: str | None, detector: str, *values: str | None
                ) -> Iterator[tuple[Any, Any, Any, Any]]:
                    meant = dict(zip(folders, values, strict=True))
                    yield from show(compared(path, networks, key, detector, meant, local))

                asked = [upload, chosen.networks, benchmark, chosen.detector, *folders.values()]
                jobs.on_click(both, go, asked, [state, reports, which, download], "compare")
                if local:
                    with gr.Row(elem_classes="keep"):
                        called = gr.Textbox(label="Save as a data set of the workbench (name)", placeholder="my-set")
                        save = gr.Button("Save")
                    save.click(
                        lambda path, name, *values: _kept(path, name, dict(zip(folders, values, strict=True))),
                        [upload, called, *folders.values()],
                        state,
                        api_visibility="private",
                    )

            which = gr.Dropdown([], label="Details of network", visible="hidden")
            details = gr.HTML()
            download = gr.File(label="report.html", interactive=False, visible="hidden")

    def scripted(  # Gradio takes a generator only as what it is, neither as a lambda nor as a partial
        path: str | None, networks: list[str], benchmark: str, detector: str, mapping: dict[str, str | None]
    ) -> Iterator[tuple[dict[str, Any], str]]:
        yield from compare_sets(path, networks, benchmark, detector, mapping, local)

    upload.change(_read, upload, [found, problem], api_visibility="private")
    which.change(_details, [which, reports], details, api_visibility="private", show_progress="hidden")
    chosen.networks.change(_benchmarks, [chosen.networks, benchmark], benchmark, api_visibility="private")
    jobs.endpoint(
        "compare",
        scripted,
        [
            upload,
            chosen.networks,
            gr.Textbox(visible=False, label="benchmark"),
            chosen.detector,
            gr.JSON(visible=False, label="mapping"),
        ],
        [gr.JSON(visible=False, label="summary"), gr.File(visible=False, label="report.html")],
        "compare",
        "Compare a zip of class folders with a benchmark (such as “fer2013-val”): accuracy, gap, p-value, the causes of the "
        "gap, and the report as HTML. `mapping`: folder to expression; {} accepts the proposals.",
    )


def _tables(networks: list[str] | None) -> list[str]:
    """The predictions tables that all these networks have."""
    tables = [set(store.find(network).tables) for network in networks or []]
    return sorted(set.intersection(*tables)) if tables else []


def _benchmarks(networks: list[str] | None, now: str | None) -> gr.Dropdown:
    try:
        keys = _tables(networks)
    except FerError:
        keys = []
    value = now if now in keys else next(iter(keys), None)
    return gr.Dropdown([(table_title(key), key) for key in keys], value=value)


def _read(path: str | None) -> tuple[dict[str, int], str]:
    if path is None:
        return {}, ""
    try:
        return words(_place(path)), ""
    except FerError as error:
        return {}, html.problem(error)


def _place(path: str | None) -> Path:
    if path is None:
        raise DataError("No private set was uploaded. Choose a zip of class folders first.")
    if not Path(path).exists():
        raise DataError(GONE)
    return Path(path)


def _kept(path: str | None, name: str, mapping: dict[str, str | None]) -> str:
    try:
        count = keep(members(_place(path)), decided(mapping), name.strip())
    except FerError as error:
        return html.problem(error)
    return html.light(f"{count:,} images were saved as the data set “{name.strip()}” of the workbench.")


def _tables_of(networks: list[str] | None, key: str | None) -> dict[str, tuple[Network, Predictions]]:
    """The selected networks, each with its table of the benchmark.

    Raises:
        ConfigError: none is selected, or they have no such table in common.
    """
    networks = unique(networks)
    if key is None or key not in _tables(networks):
        raise ConfigError(
            "The selected networks have no predictions table in common. Evaluate them on the same data set first, "
            "with “ferscope evaluate”."
        )
    return {name: (predictor([name]).members[0], store.find(name).predictions(key)) for name in networks}


def compared(
    path: str | None,
    networks: list[str] | None,
    key: str | None,
    detector: str,
    mapping: dict[str, str | None],
    local: bool,
) -> Iterator[str | list[PrivateSetReport]]:
    """Progress as HTML, and at last the reports, one per network."""
    tables, place, meant = _tables_of(networks, key), _place(path), decided(mapping)
    total = sum(words(place).values())
    progress = html.Progress("image", total)
    for step in compare_networks(place, meant, tables, key or "", detector, total, with_pictures=local):
        if isinstance(step, list):
            yield step
        elif isinstance(step, str):
            yield html.light(step)
        elif progress.due():
            yield progress.line(step)


def show(steps: Iterator[str | list[PrivateSetReport]]) -> Iterator[tuple[Any, Any, Any, Any]]:
    """Progress, then the result, the reports, the choice of details, and the report to download."""
    hidden = gr.Dropdown(visible="hidden"), gr.File(visible="hidden")
    try:
        for step in steps:
            if isinstance(step, str):
                yield step, gr.skip(), *hidden
                continue
            with scratch() as folder:
                names = [one.network for one in step]
                yield (
                    str(private_set_report.overview(step)),
                    step,
                    gr.Dropdown(names, value=names[0], visible=True),
                    gr.File(str(_page(step, folder)), visible=True),
                )
    except FerError as error:
        yield html.problem(error), [], *hidden


def _page(reports: list[PrivateSetReport], folder: Path) -> Path:
    path = folder / "report.html"
    path.write_text(private_set_report.page(reports), encoding="utf-8")
    return path


def _details(name: str | None, reports: list[PrivateSetReport]) -> str:
    return "".join(private_set_report.details(report) for report in reports if report.network == name)


def compare_sets(
    path: str | None, networks: list[str], key: str, detector: str, mapping: dict[str, str | None] | None, local: bool
) -> Iterator[tuple[dict[str, Any], str]]:
    try:
        meant: dict[str, str | None] = dict.fromkeys(words(_place(path)))
        meant |= {name: value for name, value in proposed(meant).items() if value} | dict(mapping or {})
        reports = next(step for step in compared(path, networks, key, detector, meant, local) if isinstance(step, list))
        with scratch() as folder:
            yield {one.network: one.to_json() for one in reports}, str(_page(reports, folder))
    except FerError as error:
        raise said(error) from error
