"""Video: a timeline of each face, an annotated copy, a csv with all frames, and the share of each expression."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd
from markupsafe import Markup

from dashboard import markup
from dashboard.charts.live import timeline
from dashboard.live import html, jobs
from dashboard.live.controls import Chosen, predictor, tta
from dashboard.live.drawing import annotated, at_shown_size
from dashboard.live.theme import WIDE
from dashboard.live.uploads import GONE, MAX_UPLOAD, said, scratch
from dashboard.text import interval
from fer_core.errors import DataError, FerError
from fer_core.evaluation.intervals import percent, wilson
from fer_core.serving import video
from fer_core.serving.face_tracker import FORGET, Tracker
from fer_core.serving.score_table import face_row
from fer_core.spreadsheet import as_csv

HEADER = ["face", "seconds", "frames", "most frequent", "share of frames (95 % CI)"]


def draw(chosen: Chosen) -> None:
    with gr.Row():
        with gr.Column(scale=2):
            upload = gr.Video(label="Video", sources=["upload"], height=260)
            rate = gr.Slider(1, 25, 5, step=1, label="Frames to analyse per second")
            both = jobs.buttons("Analyse")
            gr.HTML(
                html.light(
                    f"MP4, MOV, WebM, MKV or AVI up to {MAX_UPLOAD // 2**20} MB and {video.MAX_SECONDS / 60:.0f} "
                    "minutes. The video is not stored."
                )
            )
        with gr.Column(scale=3, min_width=WIDE):
            state = gr.HTML(html.light("A timeline of each face, the annotated video and a csv will appear here."))
            chart = gr.Plot(show_label=False, visible="hidden")
            copy = gr.Video(label="Annotated video (faces numbered)", interactive=False, visible="hidden", height=380)
            sheet = gr.File(label="frames.csv", interactive=False, visible="hidden")
    asked = [upload, rate, *chosen.predicting]
    jobs.on_click(both, show, asked, [state, chart, copy, sheet], "video")
    sent = [gr.File(visible=False, label="frames.csv"), gr.File(visible=False, label="annotated.mp4")]
    jobs.endpoint("predict_video", predict_video, asked, sent, "video")


def _analysed(
    path: str | None,
    rate: float,
    networks: list[str] | None,
    detector: str,
    averaging: str,
    sure: float,
    copy: Path,
    rows: list[dict[str, Any]],
) -> Iterator[int]:
    """Fills `rows`, one a face and frame, and writes the annotated `copy`; yields the number of analysed frames."""
    known = predictor(networks)
    if path is None:
        raise DataError("No video was uploaded. Choose one first.")
    source = Path(path)
    if not source.exists():
        raise DataError(GONE)
    tracker = Tracker()
    with video.Writer(copy, video.pace(source, rate)) as writer:
        for count, frame in enumerate(video.frames(source, rate), 1):
            predictions = known.predict(frame.image, detector, tta=tta(averaging))
            tracks = tracker.update(predictions, frame.at)
            for prediction, track in zip(predictions, tracks, strict=True):
                smoothed = {f"smoothed_{name}": round(p, 6) for name, p in track.prediction.probs.items()}
                cells = {**face_row(prediction, sure), **smoothed}
                rows.append({"seconds": round(frame.at, 3), "face": track.number, **cells})
            image, factor = at_shown_size(frame.image)
            shown = [track.prediction.scaled(factor) for track in tracks]
            writer.write(annotated(image, shown, sure, [track.number for track in tracks]))
            yield count


def _sheet(rows: list[dict[str, Any]], folder: Path, expressions: Sequence[str]) -> tuple[Path, pd.DataFrame]:
    """The csv and its table; a video without a face gives the header alone."""
    names = ["seconds", "face", "left", "top", "width", "height", "verdict", "predicted", "confidence"]
    names += [f"{kind}_{name}" for kind in ("prob", "smoothed") for name in expressions]
    table = pd.DataFrame(rows, columns=[*names, "warnings"])
    path = folder / "frames.csv"
    path.write_text(as_csv(table), encoding="utf-8")
    return path, table


def show(
    path: str | None, rate: float, networks: list[str] | None, detector: str, averaging: str, sure: float
) -> Iterator[tuple[Any, Any, Any, Any]]:
    """Progress; then the summary, the timeline, the annotated copy and the csv."""
    hidden = gr.Plot(visible="hidden"), gr.Video(visible="hidden"), gr.File(visible="hidden")
    rows: list[dict[str, Any]] = []
    try:
        there = Path(path) if path and Path(path).exists() else None  # else `_analysed` says what is wrong
        pace = video.pace(there, rate) if there else rate
        progress, done = html.Progress("frame", int(video.probe(there).seconds * pace) if there else 0), 0
        yield progress.line(0), *hidden
        with scratch() as folder:
            copy = folder / "annotated.mp4"
            for done in _analysed(path, rate, networks, detector, averaging, sure, copy, rows):
                if progress.due():
                    yield progress.line(done), gr.skip(), gr.skip(), gr.skip()
            sheet, table = _sheet(rows, folder, predictor(networks).expressions)
            figure = gr.Plot(timeline(table, FORGET), visible=True) if rows else gr.Plot(visible="hidden")
            yield (
                summary(table, done, pace),
                figure,
                gr.Video(str(copy), visible=True),
                gr.File(str(sheet), visible=True),
            )
    except FerError as error:
        yield html.problem(error), *hidden


def predict_video(
    path: str | None, rate: float, networks: list[str], detector: str, averaging: str, sure: float
) -> Iterator[tuple[str, str]]:
    """Turn a video into a csv and an annotated MP4 (VP9). The csv has one row per face and frame: seconds, face, box,
    verdict, prob_ (of the frame) and smoothed_ (over time). `rate`: frames to analyse per second."""
    rows: list[dict[str, Any]] = []
    try:
        with scratch() as folder:
            copy = folder / "annotated.mp4"
            for _ in _analysed(path, rate, networks, detector, averaging, sure, copy, rows):
                pass
            yield str(_sheet(rows, folder, predictor(networks).expressions)[0]), str(copy)
    except FerError as error:
        raise said(error) from error


def summary(table: pd.DataFrame, frames: int, rate: float) -> Markup:
    """How often each expression was predicted for each face."""
    if table.empty:
        return html.say(f"No face was found in {frames:,} frames. Try another detector.")
    rows = []
    for face, part in table.groupby("face"):
        counts = part["verdict"].value_counts()
        top, n = int(counts.iloc[0]), len(part)
        bounds = interval(wilson(top, n))
        rows.append([str(face), f"{n / rate:.1f}", f"{n:,}", str(counts.index[0]), f"{percent(top / n)} ({bounds})"])
    shares = table["verdict"].value_counts(normalize=True)
    said_ = ", ".join(f"{name} {percent(share)}" for name, share in shares.items())
    faces = table["face"].nunique()
    return html.say(
        f"{html.counted(faces, 'face')} in {frames:,} frames: {said_}. Neighbouring frames resemble each other, so the true "
        "uncertainty is larger than these intervals."
    ) + markup.table(HEADER, rows[:20])
