"""The live app's Video, Folder and Compare tabs, as scripts call them and as their pages are fed."""

import csv
import io
import re
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.data import astronaut

from dashboard import live
from dashboard.charts.live import timeline
from dashboard.live import compare, folder, photo, uploads, video
from fer_core.errors import DataError
from fer_core.labels import FER7
from fer_core.reports import private_set_report
from fer_core.runs.store import find
from fer_core.serving import video as videos
from fer_core.serving.predictor import Predictor
from fer_core.serving.video import Writer, frames, probe
from tests.app.examples import predictions_elsewhere
from tests.faces import face as head
from tests.fer_core.datasets.test_archive import content, damage, names, pictures
from tests.untrained import untrained

TINY = {"widths": [4, 8, 8, 16]}
KEY = "elsewhere-val"
pytestmark = pytest.mark.one_workspace


@pytest.fixture(scope="module")
def home(home: Path) -> Path:
    """A workspace with two networks that were evaluated elsewhere."""
    table = predictions_elsewhere()
    table.write(untrained(arguments=TINY) / f"predictions-{KEY}.parquet")
    untrained("second", arguments=TINY)
    table.write(home / "runs" / "second" / f"predictions-{KEY}.parquet")
    return home


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """Where a handler that is called without the server keeps its files."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    (tmp_path / "gradio").mkdir()
    return tmp_path / "gradio"


@pytest.fixture(scope="module")
def client(home, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", "")
        with live.start() as app:
            yield Client(
                app.local_url, verbose=False, httpx_kwargs={"timeout": 300},
                download_files=str(tmp_path_factory.mktemp("downloads")),
            )  # fmt: skip


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """A second of video: the portrait, then nothing, at 10 frames a second."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with Writer(path, 10) as writer:
        for number in range(10):
            writer.write(astronaut()[:256, 100:356] if number < 6 else np.full((256, 256, 3), 99, np.uint8))
    return path


@pytest.fixture(scope="module")
def private(tmp_path_factory) -> Path:
    """Drawn faces, two an expression, in folders of which one has a name that nobody translates and one a typing mistake."""
    path = tmp_path_factory.mktemp("private") / "private.zip"
    named = dict(zip(FER7.names, FER7.names, strict=True)) | {"angry": "grimmig", "surprise": "suprise"}
    with zipfile.ZipFile(path, "w") as archive:
        for label in FER7.names:
            for number in range(2):
                buffer = io.BytesIO()
                face = head(label, number)
                Image.fromarray(face).save(buffer, "PNG")
                archive.writestr(f"{named[label]}/{number}.png", buffer.getvalue())
    return path


def test_all_endpoints_have_a_name_and_a_description(client):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(endpoints) == {"/predict", "/predict_files", "/predict_video", "/compare"}


def test_a_script_sends_a_video_and_gets_a_csv_and_a_copy_that_plays(client, clip):
    sheet, copy = client.predict(
        handle_file(str(clip)),
        5, ["untrained"], "mtcnn", "card", 0.0, api_name="/predict_video",
    )  # fmt: skip
    rows = list(csv.DictReader(Path(sheet).read_text(encoding="utf-8").splitlines()))
    assert [float(row["seconds"]) for row in rows] == pytest.approx([0, 0.2, 0.4], abs=0.01)
    assert {row["face"] for row in rows} == {"1"}
    assert sum(float(rows[0][f"prob_{name}"]) for name in FER7.names) == pytest.approx(1, abs=1e-4)
    assert rows[0]["prob_happy"] == rows[0]["smoothed_happy"]
    assert len(list(frames(Path(copy), 100))) == 5
    capture = cv2.VideoCapture(copy)
    assert int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little") in (b"vp09", b"VP90")


def test_the_page_sees_progress_the_timeline_and_the_shares(clip, temporary, monkeypatch):
    monkeypatch.setattr("dashboard.live.html.Progress.due", lambda self: True)
    shown = list(video.show(str(clip), 5, ["untrained"], "mtcnn", "card", 0.0))
    assert "of 5 frames" in shown[1][0]
    assert "1 face in 5 frames" in shown[-1][0]
    assert not list(temporary.parent.glob("job-*"))


def test_a_video_of_fewer_frames_than_are_asked_for_keeps_its_pace(client, clip):
    shown = [html for html, *_ in video.show(str(clip), 25, ["untrained"], "mtcnn", "card", 0.0)]
    assert "of 10 frames" in shown[0]
    assert "<td>0.6</td><td>6</td>" in shown[-1]  # the face was there for six tenths of a second
    given = handle_file(str(clip)), 25, ["untrained"], "mtcnn", "card", 0.0
    _, copy = client.predict(*given, api_name="/predict_video")
    assert probe(Path(copy)).seconds == pytest.approx(1.0, abs=0.01)


def test_a_stopped_video_leaves_no_file(clip, temporary):
    job = video.show(str(clip), 10, ["untrained"], "mtcnn", "card", 0.0)
    next(job)
    job.close()
    assert not list(temporary.parent.glob("job-*"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\x00\x00\x18ftypmp42" + bytes(200),
        b"#EXTM3U\nfile:///etc/passwd\n",
        b"RIFF\x10\x00\x00\x00AVI ",
        "cut",
    ],
)
def test_a_bad_video_gets_a_sentence_and_leaves_nothing(content, clip, tmp_path, temporary):
    path = tmp_path / "bad.mp4"
    path.write_bytes(clip.read_bytes()[:700] if content == "cut" else content)
    *_, last = video.show(str(path), 5, ["untrained"], "none", "card", 0.0)
    assert re.search("no MP4|damaged|decoded|pixels", last[0])
    assert not list(temporary.parent.glob("job-*"))


def test_a_video_that_is_too_long_or_does_not_end_is_refused(clip, monkeypatch):
    monkeypatch.setattr(videos, "MAX_SECONDS", 0.5)
    with pytest.raises(DataError, match="at most 0 are taken|seconds long"):
        probe(clip)
    monkeypatch.setattr(videos, "MAX_SECONDS", 100.0)
    monkeypatch.setattr(videos, "MAX_FRAMES", 4)
    with pytest.raises(DataError, match="goes on after"):
        list(frames(clip, 100))
    monkeypatch.setattr(videos, "MAX_PIXELS", 1000)
    with pytest.raises(DataError, match="256 x 256 pixels"):
        probe(clip)


def test_a_timeline_is_broken_where_the_face_was_away():
    table = pd.DataFrame({"seconds": [0, 0.2, 5.0, 5.2], "face": 1, "smoothed_happy": 0.7, "smoothed_sad": 0.3})
    figure = timeline(table, gap=1.0)
    assert [list(trace.x) for trace in figure.data] == [[0, 0.2], [0, 0.2], [5.0, 5.2], [5.0, 5.2]]
    assert sum(trace.showlegend for trace in figure.data) == 2


def test_a_script_sends_pictures_and_a_zip_and_gets_one_csv(client, private, tmp_path):
    Image.fromarray(astronaut()).save(tmp_path / "portrait.png")
    (tmp_path / "notes.txt").write_text("no image")
    files = [handle_file(str(path)) for path in (tmp_path / "portrait.png", private)]
    sheet = client.predict(files, ["untrained", "second"], "mtcnn", "card", 0.9, api_name="/predict_files")
    table = pd.read_csv(sheet)
    assert len(table) == 15
    first = table.iloc[0]
    assert (first["file"], first["verdict"]) == ("portrait.png", "not sure")
    wanted = Predictor(*(find(name).folder for name in ("untrained", "second"))).predict(astronaut())[0]
    assert first["prob_happy"] == pytest.approx(wanted.probs["happy"], abs=1e-5)
    with pytest.raises(AppError, match="Invalid file type|valid"):
        client.predict(
            [handle_file(str(tmp_path / "notes.txt"))], ["untrained"], "none", "card", 0.0, api_name="/predict_files"
        )


def test_bad_uploads_to_the_folder_tab_get_a_sentence_and_leave_nothing(tmp_path, temporary):
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    for paths, says in (
        ([str(tmp_path / "bad.zip")], "no readable zip"),
        ([], "No file was uploaded"),
        (["x.png"] * (uploads.MAX_FILES + 1), "too many"),
        ([str(tmp_path / "gone.png")], "no longer here"),
    ):
        *_, last = folder.show(paths, ["untrained"], "none", "card", 0.0)
        assert says in last[0]
    assert "No network is selected" in list(folder.show(["x"], [], "none", "card", 0.0))[-1][0]
    assert not list(temporary.iterdir())
    assert not list(temporary.parent.glob("job-*"))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(names, pictures), max_size=4, unique_by=lambda entry: entry[0]), damage)
def test_whatever_is_sent_to_the_tabs_gets_a_sentence_and_leaves_nothing(temporary, entries, changes):
    upload, photo_file = temporary / "upload.zip", temporary / "photo.jpg"
    with zipfile.ZipFile(upload, "w") as file:
        for name, what in entries:
            file.writestr(name, content(what))
    raw = bytearray(upload.read_bytes())
    for at, value in changes:
        raw[int(at * (len(raw) - 1))] = value
    upload.write_bytes(raw)
    photo_file.write_bytes(content(entries[0][1]) if entries else raw)
    *_, (said, _, _) = folder.show([str(upload), str(photo_file)], ["untrained"], "none", "card", 0.0)
    assert "class=" in said
    assert "<" in photo.show(photo_file.read_bytes(), ["untrained"], "none", "card", 0.0, True)[1]
    *_, (said, *_) = compare.show(compare.compared(str(upload), ["untrained"], KEY, "none", {"": "happy"}, False))
    assert said
    results = {"probabilities.csv", "image.webp", "report.html"}  # which the page offers, for a quarter of an hour
    assert {path.name for path in temporary.rglob("*") if path.is_file()} <= {"upload.zip", "photo.jpg", *results}
    assert list(temporary.parent.iterdir()) == [temporary]


def test_folders_with_other_names_have_to_be_decided_before_anything_is_compared(private, temporary):
    undecided = {"grimmig": None, "happy": "happy"}
    *_, last = compare.show(compare.compared(str(private), ["untrained"], KEY, "none", undecided, True))
    assert "What do the folders grimmig stand for?" in last[0]
    *_, last = compare.show(compare.compared(str(private), ["untrained"], KEY, "none", {"happy": "joyful"}, True))
    assert "joyful is no expression" in last[0]


def test_a_private_set_is_compared_for_two_networks_and_reported(client, private, tmp_path):
    summary, report = client.predict(
        handle_file(str(private)), ["untrained", "second"], KEY, "none", {"grimmig": "angry"}, api_name="/compare"
    )
    assert set(summary) == {"untrained", "second"}
    one = summary["untrained"]
    accuracy = one["per_expression"][0]
    assert (accuracy["n_a"], accuracy["n_b"]) == (210, 14)
    assert one["gap"]["prior"] + one["gap"]["rest"] == pytest.approx(accuracy["difference"])
    assert np.sum(one["confusion"]["private"]) == 14
    page = Path(report).read_text(encoding="utf-8")
    assert "Why is the private set different?" in page
    assert not re.search(r'<(script|link|img)[^>]*(src|href)="http', page)  # it needs no network


def test_without_a_mapping_unclear_folders_are_asked_for_by_the_endpoint(client, private):
    with pytest.raises(AppError, match="grimmig stand for"):
        client.predict(handle_file(str(private)), ["untrained"], KEY, "none", {}, api_name="/compare")
    with pytest.raises(AppError, match="predictions table in common"):
        client.predict(
            handle_file(str(private)), ["untrained"], "none", "none", {"grimmig": "angry"}, api_name="/compare"
        )


def test_names_from_an_archive_bring_no_markup_into_the_report(tmp_path, temporary):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        buffer = io.BytesIO()
        Image.fromarray(astronaut()).save(buffer, "PNG")
        archive.writestr("happy/<img src=x onerror=alert(1)>.png", buffer.getvalue())
        archive.writestr("happy/<script>.png", b"broken")
    *_, last = compare.show(compare.compared(str(path), ["untrained"], KEY, "none", {"happy": "happy"}, False))
    page = private_set_report.page(last[1])
    assert "<img src=x" not in page
    assert "<script>.png" not in page
    assert "1 files were left out" in page
