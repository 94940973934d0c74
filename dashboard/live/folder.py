"""Folder: turns images, or a zip of them, into a csv of probabilities with one row per face."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd

from dashboard.live import html, jobs
from dashboard.live.controls import Chosen, predictor, tta
from dashboard.live.theme import WIDE
from dashboard.live.uploads import GONE, MAX_FILES, MAX_UPLOAD, picture_bytes, said, scratch
from fer_core.datasets.archive import MAX_PICTURES, ArchiveEntry, pictures_in
from fer_core.errors import DataError, FerError, ImageError
from fer_core.images import PICTURE_SUFFIXES
from fer_core.serving.score_table import columns, picture_rows, problem_row
from fer_core.spreadsheet import as_csv

SHOWN_ROWS = 200


def draw(chosen: Chosen) -> None:
    with gr.Row():
        with gr.Column(scale=2):
            files = gr.File(
                label="Images or a zip",
                file_count="multiple",
                file_types=[*sorted(PICTURE_SUFFIXES), ".zip"],
                height=180,
            )
            both = jobs.buttons("Predict all")
            gr.HTML(
                html.light(
                    f"Up to {MAX_FILES} files, or a zip of up to {MAX_UPLOAD // 2**20} MB and {MAX_PICTURES:,} images."
                )
            )
        with gr.Column(scale=3, min_width=WIDE):
            state = gr.HTML(
                html.light("The csv has one row per face: box, verdict, and a probability for each expression.")
            )
            sheet = gr.File(label="probabilities.csv", interactive=False, visible="hidden")
            shown = gr.Dataframe(interactive=False, visible="hidden", max_height=420)
    jobs.on_click(both, show, [files, *chosen.predicting], [state, sheet, shown], "folder")
    sent = gr.File(visible=False, label="probabilities.csv")
    jobs.endpoint("predict_files", predict_files, [files, *chosen.predicting], sent, "folder")


def uploaded_pictures(paths: list[str] | None) -> Iterator[ArchiveEntry]:
    """The images of an upload: files, or the content of zips.

    Raises:
        DataError: nothing was uploaded, too many files were, or a file is not a zip.
    """
    if not paths:
        raise DataError("No file was uploaded. Choose images or a zip first.")
    if len(paths) > MAX_FILES:
        raise DataError(
            f"{len(paths):,} files are too many at once. Pack them into a zip, or upload {MAX_FILES} at a time."
        )
    for path in map(Path, paths):
        if not path.exists():
            raise DataError(GONE)
        if path.suffix.lower() == ".zip":
            yield from pictures_in(path)
            continue
        try:
            yield ArchiveEntry(path.name, picture_bytes(path))
        except ImageError as error:
            yield ArchiveEntry(path.name, None, str(error))


def _rows(
    paths: list[str] | None, networks: list[str] | None, detector: str, averaging: str, sure: float
) -> Iterator[list[dict[str, Any]]]:
    known = predictor(networks)
    for member in uploaded_pictures(paths):
        if member.data is None:
            yield [problem_row(member.name, member.reason)]
        else:
            yield picture_rows(member.name, member.data, known, detector, threshold=sure, tta=tta(averaging))


def _written(rows: list[dict[str, Any]], networks: list[str], folder: Path) -> tuple[Path, pd.DataFrame]:
    table = pd.DataFrame(rows, columns=columns(predictor(networks).expressions))
    table["face"] = table["face"].astype("Int64")
    path = folder / "probabilities.csv"
    path.write_text(as_csv(table), encoding="utf-8")
    return path, table


def show(
    paths: list[str] | None, networks: list[str] | None, detector: str, averaging: str, sure: float
) -> Iterator[tuple[Any, Any, Any]]:
    """Progress, then the sheet and its first rows."""
    rows: list[dict[str, Any]] = []
    progress, done = html.Progress("image", 0), 0
    hidden = gr.File(visible="hidden"), gr.Dataframe(visible="hidden")
    try:
        yield progress.line(0), *hidden
        for found in _rows(paths, networks, detector, averaging, sure):
            rows += found
            done += 1
            if progress.due():
                yield progress.line(done), gr.skip(), gr.skip()
        with scratch() as folder:
            path, table = _written(rows, networks or [], folder)
            yield (
                _sentence(table, done),
                gr.File(str(path), visible=True),
                gr.Dataframe(_shown(table), visible=True),
            )
    except FerError as error:
        yield html.problem(error), *hidden


def predict_files(
    paths: list[str] | None, networks: list[str], detector: str, averaging: str, sure: float
) -> Iterator[str]:
    """Turn images, or a zip of them, into a csv. It has one row per face: file, face, box, verdict, predicted, confidence,
    one prob_<expression> column each, and warnings. Images without a prediction have the reason in problem."""
    try:
        rows = [row for found in _rows(paths, networks, detector, averaging, sure) for row in found]
        with scratch() as folder:
            yield str(_written(rows, networks, folder)[0])
    except FerError as error:
        raise said(error) from error


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """The first rows, without boxes, with the most important columns first."""
    first = ["file", "face", "verdict", "confidence", "problem", "warnings"]
    probs = [column for column in table.columns if column.startswith("prob_")]
    return table[first + probs].replace("", pd.NA).dropna(axis=1, how="all").head(SHOWN_ROWS)


def _sentence(table: pd.DataFrame, pictures: int) -> str:
    faces = int(table["face"].notna().sum())
    counts = table["verdict"].value_counts()
    shares = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    bad = int((table["problem"].fillna("") != "").sum())
    text = f"{html.counted(pictures, 'image')}, {html.counted(faces, 'face')}"
    text += f": {shares}." if faces else "."
    text += f" {bad:,} without a prediction; see the column “problem”." if bad else ""
    more = f" The first {SHOWN_ROWS} rows:" if len(table) > SHOWN_ROWS else ""
    return html.say(text + more)
