"""The live tab's server, asked by a script as `gradio_client` does, and what it draws."""

import io
import os
import shutil
import socket
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError, AuthenticationError
from PIL import Image, ImageColor
from skimage.data import astronaut

from dashboard import live
from dashboard.guard import Reach
from dashboard.live import camera, controls, drawing, html, photo
from fer_core.errors import ConfigError, UnknownName
from fer_core.faces import Face, FaceCrop
from fer_core.labels import COLOURS, FER7
from fer_core.serving.predictor import Prediction, Predictor
from tests.untrained import untrained


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One live tab for all tests of this file, with one network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERSCOPE_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("GRADIO_TEMP_DIR", "")  # so that what `start` sets does not outlive this
        folder = untrained()
        with live.start() as app:
            yield app, folder


@pytest.fixture
def client(server, workspace, monkeypatch):
    monkeypatch.setenv("FERSCOPE_HOME", str(server[1].parent.parent))
    return connect(server[0].local_url)


@pytest.fixture
def portrait_file(tmp_path: Path) -> Path:
    Image.fromarray(astronaut()).save(tmp_path / "portrait.png")
    return tmp_path / "portrait.png"


def connect(url: str, **arguments) -> Client:
    return Client(url, verbose=False, httpx_kwargs={"timeout": 300}, **arguments)  # httpx gives up after 5 seconds


def ask(client: Client, file: Path, network: str = "untrained", detector: str = "mtcnn"):
    return client.predict(handle_file(str(file)), [network], detector, api_name="/predict")


def test_a_script_gets_what_the_predictor_says(client, server, portrait_file):
    (face,) = ask(client, portrait_file)
    (wanted,) = Predictor(server[1]).predict(astronaut())
    assert tuple(face["probs"]) == FER7.names
    assert list(face["probs"].values()) == pytest.approx(list(wanted.probs.values()), abs=1e-6)
    assert face["box"] == pytest.approx(wanted.face.box)
    assert face["predicted"] == wanted.predicted


def test_no_face_is_an_empty_list(client, tmp_path):
    Image.new("RGB", (300, 200), "grey").save(tmp_path / "grey.png")
    assert ask(client, tmp_path / "grey.png") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"GIF89a but not really", "damaged|no image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no image"),
        ("cut", "damaged"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(40), "HEIC.*save it as PNG or JPEG"),
        ("huge", "10000 x 10000 pixels"),
    ],
)
def test_a_bad_picture_is_named_and_the_other_users_picture_is_answered(
    client, tmp_path, portrait_file, content, message
):
    bad = tmp_path / "bad.png"
    if content == "cut":
        bad.write_bytes(portrait_file.read_bytes()[:20_000])
    elif content == "huge":
        Image.new("1", (10_000, 10_000)).save(bad)
    else:
        bad.write_bytes(content)
    with ThreadPoolExecutor(2) as pool:
        wrong, right = pool.submit(ask, client, bad), pool.submit(ask, client, portrait_file)
        with pytest.raises(AppError, match=message):
            wrong.result()
        assert len(right.result()) == 1


def test_twenty_pictures_at_once_are_all_answered(client, portrait_file):
    with ThreadPoolExecutor(20) as pool:
        html = list(pool.map(lambda _: ask(client, portrait_file, detector="none"), range(20)))
    assert all(answer == html[0] for answer in html)
    assert len(html[0]) == 1


def test_a_folder_of_the_machine_cannot_be_named_as_a_network(client, server, portrait_file):
    for name in (str(server[1]), "../runs/untrained", "nothing"):
        with pytest.raises(AppError, match=r"not in the list of choices|no network"):
            ask(client, portrait_file, name)
    with pytest.raises(UnknownName):
        controls.predictor(["../runs/untrained"])


def test_a_picture_of_the_machine_that_was_not_uploaded_cannot_be_read(client, server, portrait_file):
    path = f"{server[0].local_url}gradio_api/call/predict"

    def answer(place: str) -> str:  # as a hostile client would ask; gradio_client uploads every file it is given
        picture = {"path": place, "meta": {"_type": "gradio.FileData"}}
        event = httpx.post(path, json={"data": [picture, ["untrained"], "none", "card", 0.0]}, timeout=300).json()[
            "event_id"
        ]
        return httpx.get(f"{path}/{event}", timeout=300).text

    with portrait_file.open("rb") as file:
        (uploaded,) = httpx.post(path.replace("call/predict", "upload"), files={"files": file}, timeout=300).json()
    assert "event: complete" in answer(uploaded)
    assert "probs" in answer(uploaded)
    assert "event: error" in answer(str(portrait_file))
    assert "probs" not in answer(str(portrait_file))


def test_a_network_is_loaded_once_and_again_when_it_is_written_anew(workspace):
    folder = untrained("mine")
    first = controls.predictor(["mine"])
    assert controls.predictor(["mine"]).model is first.model
    weights = folder / "best.safetensors"
    os.utime(weights, ns=(0, weights.stat().st_mtime_ns + 1_000_000))
    assert controls.predictor(["mine"]).model is not first.model


def test_nothing_that_was_uploaded_is_left_when_the_app_ends(workspace, portrait_file, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    untrained()
    with live.start() as app:
        folder = Path(os.environ["GRADIO_TEMP_DIR"])
        ask(connect(app.local_url), portrait_file)
        assert list(folder.rglob("portrait.png"))
    assert not folder.exists()


def test_an_app_open_to_others_needs_a_password(workspace):
    for open_to_others in (Reach(host="0.0.0.0"), Reach(share=True)):
        with pytest.raises(ConfigError, match="password"), live.start(open_to_others):
            pass


def test_the_password_is_asked_for(workspace, portrait_file, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    untrained()
    with live.start(password="right") as app:
        for wrong in (None, ("anyone", "wrong"), ("anyone", "")):
            with pytest.raises((AuthenticationError, ValueError)):
                connect(app.local_url, auth=wrong)
        client = connect(app.local_url, auth=("anyone", "right"))
        assert len(ask(client, portrait_file, detector="none")) == 1


def test_a_taken_port_is_said(workspace, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="another port"), live.start(Reach(taken.getsockname()[1])):
            pass


def test_labels_are_readable_on_the_colour_of_each_expression():
    def luminance(colour: str) -> float:  # WCAG 2.2
        parts = [value / 255 for value in ImageColor.getrgb(colour)]
        return float(
            np.dot(
                [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts], [0.2126, 0.7152, 0.0722]
            )
        )

    for name, colour in COLOURS.items():
        dark, light = sorted([luminance(colour), luminance(drawing.ink(colour))])
        assert (light + 0.05) / (dark + 0.05) >= 4.5, name


def prediction(box, predicted="sad"):
    probs = dict.fromkeys(FER7.names, 0.01) | {predicted: 0.94}
    return Prediction(Face(box), FaceCrop(), probs, np.zeros((48, 48), np.uint8))


@pytest.mark.parametrize("background", [0, 255])
def test_a_box_shows_in_the_colour_of_its_expression_on_black_and_white(background):
    drawn = drawing.annotated(np.full((480, 640), background, np.uint8), [prediction((200.0, 150.0, 100.0, 120.0))])
    column = drawn[:, 250].tolist()
    sad, outline = list(ImageColor.getrgb(COLOURS["sad"])), [0, 0, 0]
    lower = next(y for y in range(240, 300) if column[y] == sad)
    assert abs(lower - 269) <= 2  # 150 + 120 - 1, and a line of 2 pixels
    assert outline in column[lower : lower + 5]
    assert (drawn[:100] == background).all()


@pytest.mark.parametrize("box", [(-20.0, -10.0, 80.0, 80.0), (600.0, 440.0, 80.0, 90.0), (0.0, 0.0, 640.0, 480.0)])
def test_the_label_of_a_face_at_the_rim_stays_in_the_picture(box):
    white = np.full((480, 640, 3), 255, np.uint8)
    drawn = drawing.annotated(white, [prediction(box)])
    chip = (drawn == ImageColor.getrgb(COLOURS["sad"])).all(axis=2)
    rows = np.flatnonzero(chip.sum(axis=1) > 60)  # rows of the chip, not of the frame alone
    assert len(rows) > 10
    assert chip.sum() > 1500


def test_small_pictures_are_enlarged_and_large_ones_shrunk_with_their_boxes():
    for shape, factor in (((48, 48), 10), ((600, 800), 1), ((2560, 1280, 3), 0.5)):
        image, scale = drawing.at_shown_size(np.zeros(shape, np.uint8))
        assert scale == factor
        assert image.shape[:2] == (shape[0] * factor, shape[1] * factor)
    assert prediction((4.0, 5.0, 6.0, 7.0)).scaled(10).face.box == (40, 50, 60, 70)


def test_an_expressions_name_cannot_bring_markup_onto_the_page():
    nasty = Prediction(Face((0, 0, 9, 9)), FaceCrop(), {"<script>": 1.0}, np.zeros((48, 48), np.uint8))
    assert "<script>" not in html.bars([nasty])
    assert "&lt;script&gt;" in html.bars([nasty])


def test_a_frame_that_is_no_picture_is_said_and_the_stream_goes_on(workspace):
    untrained()
    stream = camera.Stream()
    said, stream = camera.show(b"noise", ["untrained"], "none", "card", 0.0, False, stream)
    assert "no image" in said
    buffer = io.BytesIO()
    Image.fromarray(astronaut()).save(buffer, "JPEG")
    shown, _ = camera.show(buffer.getvalue(), ["untrained"], "none", "card", 0.0, True, stream)
    assert "frames per second" in shown
    assert "Grad-CAM" in shown
    assert stream.limit > 0


def test_without_any_network_the_page_says_how_to_get_one(workspace, monkeypatch):
    monkeypatch.setattr("fer_core.workspace.CHECKPOINTS", workspace)
    picture, said = photo.show(b"", None, "mtcnn", "card", 0.0, False)
    assert picture is None
    assert "Train one" in said


def test_several_photos_each_get_a_picture_and_a_sentence_and_one_of_them_is_looked_at_closer(
    workspace, portrait_file, tmp_path
):
    untrained()
    Image.new("RGB", (300, 200), "grey").save(tmp_path / "grey.png")
    (tmp_path / "bad.png").write_bytes(b"nothing")
    paths = [str(portrait_file), str(tmp_path / "grey.png"), str(tmp_path / "bad.png")]
    *_, (told, sheet) = photo.show_several(paths, ["untrained"], "mtcnn", "card", 0.0, True)
    assert "3 photos, 1 face; 1 without a face; 1 unreadable. Click" in told.value
    captions = [shown["caption"] for shown in sheet.value]
    assert captions[0].startswith("portrait.png: 1 face: ")
    assert captions[1] == "grey.png: No face was found."
    assert "no image" in captions[2]
    clicked = gr.SelectData(None, {"index": 1, "value": None})
    assert photo.closer(paths, clicked) == paths[1]


def test_several_photos_that_cannot_be_looked_at_get_one_sentence(workspace, portrait_file):
    untrained()
    for paths, networks, says in (
        ([str(portrait_file)] * (photo.MOST + 1), ["untrained"], "use the Folder tab"),
        ([str(portrait_file)], [], "No network is selected"),
    ):
        *_, (told, sheet) = photo.show_several(paths, networks, "mtcnn", "card", 0.0, False)
        assert says in told.value
        assert sheet.visible == "hidden"


@pytest.mark.parametrize("command", [["dashboard.live"], ["trainers.cli", "live", "--port", "0"]])
def test_a_plain_kill_ends_it_like_ctrl_c_and_leaves_nothing(workspace, tmp_path, command):
    untrained()
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        env={**os.environ, "TMPDIR": str(tmp_path), "GRADIO_TEMP_DIR": ""},
        text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert "http://127.0.0.1:" in process.stdout.readline()
    assert list(tmp_path.glob("ferscope-live-*"))
    process.terminate()
    process.stdout.read()  # to the end: the pipe closes with the process
    assert process.wait(120) == 0
    assert "Traceback" not in process.stderr.read()
    assert list(tmp_path.glob("ferscope-live-*")) == []


def test_https_needs_a_certificate_and_its_key(workspace, tmp_path):
    (tmp_path / "cert.pem").write_text("")
    for given, says in (
        (Reach(certificate=tmp_path / "cert.pem"), "both"),
        (Reach(certificate=tmp_path / "cert.pem", key=tmp_path / "gone.pem"), "gone.pem does not exist"),
    ):
        with pytest.raises(ConfigError, match=says), live.start(given):
            pass


def test_with_a_certificate_it_answers_over_https(workspace, tmp_path, monkeypatch):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-keyout", key, "-out", certificate,
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    with live.start(Reach(certificate=certificate, key=key)) as app:
        assert app.local_url.startswith("https://")
        answer = httpx.get(app.local_url, verify=ssl.create_default_context(cafile=str(certificate)), timeout=60)
    assert answer.status_code == 200
