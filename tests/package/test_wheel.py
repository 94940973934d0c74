"""What `pip install ferscope-*.whl` gives in an empty folder: the wheel is built, installed and worked with."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import numpy as np
import pytest
from PIL import Image

from fer_core.heads.shipped import portraits
from fer_core.serving.predictor import Predictor
from fer_core.workspace import CHECKPOINTS
from tests.conftest import ROOT, free_port
from tests.package.conftest import Installed

PAGE = """
from pathlib import Path
from streamlit.testing.v1 import AppTest
import dashboard
app = AppTest.from_file(str(Path(dashboard.__file__).with_name("Home.py")), default_timeout=120).run()
assert not app.exception and not app.error, (app.exception, app.error)
print(app.title[0].value)
"""


@pytest.fixture
def unchanged(installed: Installed) -> Iterator[None]:
    """The installed package and the folder that one works in are as before."""

    def files() -> dict[Path, tuple[int, int]]:
        places = (installed.package.parent, installed.folder)
        found = {path: path.stat() for place in places for path in place.rglob("*") if path.is_file()}
        return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in found.items()}

    before = files()
    assert len(before) > 300
    yield
    assert files() == before


def test_it_is_the_package_that_works_and_its_workspace_is_the_users(installed: Installed) -> None:
    said = installed.ferscope("--help")
    assert all(f" {command} " in said for command in ("open", "live", "train", "predict"))
    where = installed.said("-c", "from fer_core import workspace as w; print(w.ROOT, w.home(), sep='\\n')").splitlines()
    assert Path(where[0]) != ROOT
    assert Path(where[0]) == installed.package.parent
    if sys.platform == "linux":  # elsewhere the platform's own place, which the environment does not move
        assert where[1] == str(Path(installed.environment["XDG_DATA_HOME"]) / "ferscope")


@pytest.mark.usefixtures("unchanged")
def test_it_predicts_evaluates_and_trains_and_writes_to_the_workspace_only(
    installed: Installed, learnable: Path, tmp_path: Path
) -> None:
    home = tmp_path / "kept"
    working = replace(installed, environment=installed.environment | {"FERSCOPE_HOME": str(home)})
    image = tmp_path / "face.png"
    Image.fromarray(portraits().images[0, 1]).save(image)
    (answer,) = json.loads(working.ferscope("predict", "mini-xception", str(image), "--json"))
    (here,) = Predictor(CHECKPOINTS / "mini-xception").predict(np.asarray(Image.open(image)))
    assert {name: answer[f"prob_{name}"] for name in here.probs} == pytest.approx(here.probs, abs=1e-5)
    working.ferscope("evaluate", "mini-xception", "--data", str(learnable), "--split", "test", "--json")
    assert [path.name for path in home.glob("evaluations/mini-xception/*/*.parquet")] == [
        "predictions-learnable-test.parquet"
    ]
    start = (
        "from fer_core.recipe import load_recipe; from fer_core.runs.folder import RunFolder\n"
        "from fer_core.training.launch import launch\n"
        f"launch(RunFolder.create('mine', load_recipe('mini-xception', ['epochs=1']), {str(learnable)!r}))"
    )
    working.said("-c", start)  # a process of its own, as the Train page starts it
    status, end = home / "runs" / "mine" / "status.json", time.monotonic() + 240
    while (state := json.loads(status.read_text(encoding="utf-8"))["state"]) in ("queued", "starting", "running"):
        assert time.monotonic() < end, state
        time.sleep(0.2)
    assert state == "finished", status.read_text(encoding="utf-8")


@pytest.mark.usefixtures("unchanged", "no_process_is_left")
def test_open_starts_the_workbench_with_its_options(installed: Installed) -> None:
    assert installed.said("-c", PAGE).startswith("Home:")
    port = free_port()
    server = subprocess.Popen(
        [installed.command, "open", "--no-browser", "--port", str(port)], cwd=installed.folder, env=installed.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address, end = f"http://127.0.0.1:{port}", time.monotonic() + 120
    healthy = False
    while not healthy and server.poll() is None and time.monotonic() < end:
        with suppress(URLError, OSError), urlopen(f"{address}/_stcore/health", timeout=5) as answer:
            healthy = answer.read() == b"ok"
        time.sleep(0.1)
    assert healthy
    with urlopen(address) as answer:
        assert b'<div id="root">' in answer.read()
        assert "frame-src 'self'" in answer.headers["Content-Security-Policy"]
    with pytest.raises(HTTPError, match="403"):  # an option of the file beside the script: it serves this machine only
        urlopen(Request(address, headers={"Host": "192.0.2.1"}))
