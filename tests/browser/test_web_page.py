"""The exported web page in a real Chromium: it answers as the library, also without a network, and asks no other host."""

import base64
import gzip
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from fer_core.faces import Face, FaceCrop, find_faces
from fer_core.heads.shipped import portraits
from fer_core.models.logits import CLOSE
from fer_core.reports.web_page import write_page
from fer_core.runs.store import find
from fer_core.serving import web_runtime
from fer_core.serving.face_tracker import Tracker, overlap
from fer_core.serving.predictor import Prediction, Predictor
from fer_core.serving.web_runtime import RuntimeMissing
from fer_core.workspace import CHECKPOINTS
from tests.benchmarks.camera import fake_camera
from tests.browser.conftest import BROWSERS, QUIET
from tests.browser.web_page_answers import answers
from tests.browser.web_page_server import ForAll, served
from tests.heads_scenes import scenes

# Of the benchmark's 200 images every tenth, and those that ties of scores, rounding and halves of grey levels once told apart.
IMAGES = sorted({*range(0, 200, 10), 27, 47, 61, 63, 76, 131, 174, 176, 178, 187, 188})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERSCOPE_HOME", str(tmp_path_factory.mktemp("home")))
        site = tmp_path_factory.mktemp("site") / "page"
        try:
            write_page([find("small-vgg"), find("fer2013-best")], site, offline=True)
        except RuntimeMissing as error:  # a package that is another than the known one is a failure
            pytest.skip(f"onnxruntime-web cannot be had here: {error}")
    return site


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with served(folder) as address:
        yield address


def opened(page: Page, address: str) -> list[str]:
    """Open the page and wait for its first answer; the list receives the address of each request."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    expect(page.locator("body[data-ready=true]")).to_be_attached()
    expect(page.locator("article[data-network=small-vgg] tr")).to_have_count(7)
    return asked


def test_boxes_and_probabilities_are_those_of_the_library(folder: Path, address: str, page: Page) -> None:
    place, images = folder / "images", scenes(200)
    place.mkdir(exist_ok=True)
    for number in IMAGES:
        Image.fromarray(images[number]).save(place / f"{number}.png", compress_level=1)
    opened(page, address)
    files = [f"images/{number}.png" for number in IMAGES]
    for answer in answers(page, folder, files, ["small-vgg", "fer2013-best"]):
        assert answer.same_boxes, answer
        assert answer.apart < 1e-5, answer
        assert answer.same_warnings, answer


EXPLAIN = """async ([name, network]) => {
    const { predict, explain } = await import('./client.js');
    const { open } = await import('./photos.js');
    const blob = await (await fetch('images/' + name)).blob();
    await predict(await open(new File([blob], name)), [network]);
    return (await explain(network, 0, 3, () => {})).whole;
}"""


def test_a_map_says_whether_it_explains_ten_crops(folder: Path, address: str, page: Page) -> None:
    """Of a network that takes ten crops where its answer is close, and of a network that never does."""
    predictor, place = Predictor(CHECKPOINTS / "fer2013-best"), folder / "images"
    place.mkdir(exist_ok=True)
    flat = {}
    for number, image in enumerate(portraits().images.reshape(-1, 176, 176, 3)):
        (flip,) = predictor.predict(image, tta="flip")
        first, second = sorted(np.log(list(flip.probs.values())) * (predictor.card.temperature or 1))[:-3:-1]
        flat[bool(second - first >= np.log(CLOSE))] = f"portrait-{number}.png"
        Image.fromarray(image).save(place / f"portrait-{number}.png", compress_level=1)
        if len(flat) == 2:
            break
    opened(page, address)
    for is_close, name in flat.items():
        assert page.evaluate(EXPLAIN, [name, "fer2013-best"]) is not is_close
    assert page.evaluate(EXPLAIN, [flat[True], "small-vgg"]) is True
    assert set(flat) == {False, True}


FOLLOW = """async (image) => {
    const { follow } = await import('./client.js');
    const blob = await (await fetch(image)).blob();
    const found = [];
    for (let frame = 0; frame < 4; frame++) found.push((await follow(await createImageBitmap(blob), ['small-vgg'])).faces);
    return found;
}"""


def test_in_a_still_camera_image_a_face_stays_where_it_was_found(folder: Path, address: str, page: Page) -> None:
    """The last stage of the detector, which follows a face, finds the box of the whole detector again."""
    (folder / "images").mkdir(exist_ok=True)
    scene = next(one for one in scenes(12) if one.shape == (240, 320, 3) and len(find_faces(one)) == 2)
    Image.fromarray(scene).save(folder / "images" / "still.png")
    opened(page, address)
    frames = page.evaluate(FOLLOW, "images/still.png")
    assert {tuple(face["box"]) for face in frames[0]} == {face.box for face in find_faces(scene)}
    for frame in frames:
        assert [face["number"] for face in frame] == [1, 2]
        for face, first in zip(frame, frames[0], strict=True):
            assert overlap(Face(tuple(face["box"])), Face(tuple(first["box"]))) > 0.8
            assert sum(face["probabilities"]["small-vgg"]) == pytest.approx(1)


def test_faces_are_tracked_and_smoothed_as_by_the_library(address: str, page: Page) -> None:
    random, tracker, wanted, frames, at = np.random.default_rng(3), Tracker(), [], [], 0.0
    places = random.uniform(0, 300, (3, 2))
    for _ in range(60):
        at += float(random.choice([0.05, 0.3, 1.2], p=[0.8, 0.15, 0.05]))
        places += random.normal(0, 12, places.shape)
        seen = [(*map(float, place), 80.0, 90.0) for place in places if random.random() < 0.8]
        probs = [float(share) for share in random.random(len(seen))]
        frames.append(
            [at, [{"box": box, "probabilities": {"a": [p, 1 - p]}} for box, p in zip(seen, probs, strict=True)]]
        )
        given = [
            Prediction(Face(box), FaceCrop(), {"x": p, "y": 1 - p}, np.zeros((1, 1), np.uint8))
            for box, p in zip(seen, probs, strict=True)
        ]
        wanted.append([[track.number, track.prediction.probs["x"]] for track in tracker.update(given, at)])
    opened(page, address)
    found = page.evaluate(
        """async (frames) => {
            const { Tracker } = await import('./tracker.js');
            const tracker = new Tracker((await (await fetch('page.json')).json()).tracking);
            return frames.map(([at, faces]) => tracker.update(faces, at).map((face) => [face.number, face.probabilities.a[0]]));
        }""",
        frames,
    )
    assert [[number for number, _ in frame] for frame in found] == [[number for number, _ in frame] for frame in wanted]
    assert list(chain(*found)) == [pytest.approx(one) for one in chain(*wanted)]
    assert max(number for frame in wanted for number, _ in frame) > 3  # tracks were lost, and begun anew


def test_the_camera_is_answered_until_it_is_stopped(browser: Browser, address: str, tmp_path: Path) -> None:
    fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={fake_camera(tmp_path)}")  # fmt: skip
    path = next(filter(None, map(shutil.which, BROWSERS)))
    chromium = browser.browser_type.launch(executable_path=path, args=[*QUIET, *fake])
    page = chromium.new_page()
    opened(page, address)
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator("#status")).to_contain_text("1 face; ")
    expect(page.locator("#status")).to_contain_text(re.compile(r"\d frames a second"))
    box = page.get_by_role("button", name=re.compile("^Face 1: ")).bounding_box()
    stage = page.locator("#stage").bounding_box()
    assert box is not None
    assert stage is not None
    zoom = 480 / stage["width"]
    assert 150 < zoom * (box["x"] - stage["x"]) < 220  # 166 in the first frame, up to 40 more in others
    assert 70 < zoom * box["width"] < 105
    page.get_by_role("button", name="Stop the camera").click()
    expect(page.get_by_label("The last image of the camera")).to_be_visible()
    expect(page.locator("#status")).to_contain_text("1 face, ")
    page.get_by_role("button", name="Rendered face 2, happy").click()
    expect(page.get_by_role("button", name="Face 1: happy")).to_be_visible()
    chromium.close()


def test_it_works_without_a_network_after_the_first_visit_and_asks_no_other_host(address: str, page: Page) -> None:
    asked = opened(page, address)
    page.evaluate(KEPT)
    page.context.set_offline(True)
    page.reload()
    expect(page.locator("body[data-ready=true]")).to_be_attached()
    page.get_by_role("button", name="Rendered face 2, happy").click()
    expect(page.get_by_role("button", name="Face 1: happy")).to_be_visible()  # until then the image before is shown
    page.get_by_role("button", name="Show the map").click()
    expect(page.get_by_text("When a red part is covered")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})  # as a phone's when its address bar goes away
    expect(page.get_by_text("When a red part is covered")).to_be_visible()
    expect(page.locator("#examples button[aria-pressed=true]")).to_have_count(1)
    assert {url for url in asked if not url.startswith((address, "blob:", "data:"))} == set()
    assert page.console_errors == []
    sent = page.evaluate("fetch('https://example.com/').then(() => 'sent', () => 'refused')")
    assert sent == "refused"


def test_what_cannot_be_used_is_told_in_a_sentence(address: str, page: Page, tmp_path: Path) -> None:
    opened(page, address)
    empty, heic, grey, large = (tmp_path / name for name in ("a.png", "b.heic", "c.png", "d.png"))
    empty.write_bytes(b"")
    heic.write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    Image.new("RGB", (300, 300), "grey").save(grey)
    Image.new("1", (10_000, 10_000)).save(large)
    for file, said in ((empty, "0 bytes"), (heic, "cannot open HEIC"), (large, "100 megapixels")):
        page.locator("#file").set_input_files(file)
        expect(page.locator("#problem")).to_contain_text(said)
    page.locator("#file").set_input_files(grey)
    expect(page.locator("#status")).to_contain_text("No face was found")
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator("#problem")).to_contain_text(re.compile("No camera was found|The camera was not allowed"))


def test_a_browser_that_cannot_run_the_networks_is_told_so(address: str, page: Page) -> None:
    page.add_init_script(
        "const validate = WebAssembly.validate; WebAssembly.validate = (code) => code.length > 40 && validate(code);"
    )
    page.goto(address)
    expect(page.locator("#problem")).to_contain_text("no WebAssembly with SIMD")


KEPT = """async () => {
    const { serviceWorker } = navigator;
    if (!serviceWorker.controller) await new Promise((resolve) => { serviceWorker.oncontrollerchange = resolve; });
}"""
SEND = "(url) => fetch(url).then(() => 'sent', () => 'refused')"


def test_the_runtime_of_another_host_is_checked_by_its_hash(
    folder: Path, browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real host cannot be reached from every machine, so another one on this machine has npm's files."""
    (runtime := tmp_path / "dist").mkdir()
    for file in (folder / "runtime").iterdir():
        data = file.read_bytes()
        (runtime / file.name.removesuffix(".gz")).write_bytes(gzip.decompress(data) if file.suffix == ".gz" else data)
    with served(tmp_path, ForAll) as host, served(tmp_path / "page") as address:
        monkeypatch.setattr(web_runtime, "HOST", f"{host}dist/")
        write_page([find("small-vgg")], site := tmp_path / "page")
        assert not (site / "runtime").exists()
        assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < 8e6
        page = browser.new_page()
        asked = opened(page, address)
        assert {url for url in asked if not url.startswith((address, f"{host}dist/", "blob:", "data:"))} == set()
        for elsewhere in (f"{host}page/", f"{host}dist", "https://example.com/"):
            assert page.evaluate(SEND, elsewhere) == "refused"
        page.evaluate(KEPT)
        page.context.set_offline(True)
        page.reload()
        expect(page.locator("body[data-ready=true]")).to_be_attached()
        page.close()
        glue = runtime / "ort-wasm-simd-threaded.mjs"
        glue.write_bytes(glue.read_bytes() + b"\n")
        page = browser.new_page()
        page.goto(address)
        expect(page.locator("#problem")).to_contain_text(
            f"{glue.name} could not be loaded, or is not the file that it should be"
        )
        page.close()


def test_the_policy_names_the_one_folder_that_is_needed(folder: Path, tmp_path: Path) -> None:
    write_page([find("small-vgg")], tmp_path / "page")
    text = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert f"connect-src 'self' {web_runtime.HOST}; " in text
    assert text.count("https:") == 1
    assert "https:" not in (folder / "index.html").read_text(encoding="utf-8")
    for form, parts in json.loads((tmp_path / "page" / "page.json").read_text(encoding="utf-8"))["runtime"].items():
        for part in parts.values():
            name = part["address"].removeprefix(web_runtime.HOST)
            copy = folder / "runtime" / name
            data = copy.read_bytes() if copy.is_file() else gzip.decompress(copy.with_name(f"{name}.gz").read_bytes())
            assert part["integrity"] == "sha384-" + base64.b64encode(hashlib.sha384(data).digest()).decode(), form


def test_sizes(folder: Path) -> None:
    site = json.loads((folder / "page.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in site["networks"]] == ["small-vgg", "fer2013-best"]
    second = (folder / "networks" / "fer2013-best.onnx").stat().st_size
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "images"]
    whole = sum(path.stat().st_size for path in files) - second
    runtime = sum(path.stat().st_size for path in files if path.parent.name == "runtime")
    assert whole < 20e6
    assert whole - runtime < 8e6


def test_the_examples_are_the_rendered_heads(folder: Path) -> None:
    assert len(list((folder / "examples").iterdir())) == 2 * len(portraits().expressions)
