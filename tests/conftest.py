"""What all tests share: a workspace of their own, and small data sets made in the real layouts."""

import os

# Before numpy and torch are loaded: the workers of a test run share the cores, and threads that wait for a core by spinning
# take it from the others. What the tests start inherits it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from PIL import Image

CSV_HEADER = "emotion,pixels,Usage"
ROOT = Path(__file__).resolve().parents[1]

settings.register_profile("ferscope", deadline=None)  # a busy machine is slow, which is no fault of what is tested
settings.load_profile("ferscope")

# Markers by place, the first that fits: what a test needs is known by where it lies. `-m fast` is for while one works. A
# test that says itself what it needs (`process`, `simulation`) is not marked by its place.
MARKED = {
    "browser": ("tests/browser/",),
    "real_data": ("tests/fer_core/datasets/test_real_files.py",),
    "process": (
        "tests/fer_core/runs/", "tests/fer_core/training/", "tests/fer_core/experiments/", "tests/trainers/", "tests/app/",
        "tests/dashboard/live/", "tests/test_extending.py", "tests/package/test_wheel.py",
    ),
    "fast": (
        "tests/fer_core/evaluation/test_metrics.py", "tests/fer_core/evaluation/test_predictions.py",
        "tests/fer_core/evaluation/test_slices.py", "tests/fer_core/evaluation/test_calibration.py",
        "tests/fer_core/evaluation/test_comparison.py", "tests/fer_core/faces/", "tests/fer_core/images/",
        "tests/fer_core/test_labels.py", "tests/fer_core/test_recipe.py", "tests/fer_core/datasets/test_splits.py",
        "tests/dashboard/", "tests/test_wording.py", "tests/test_readme.py", "tests/heads/test_scene.py",
    ),
}  # fmt: skip


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`-m fast` does not even import the other tests: that alone takes half a minute."""
    if config.option.markexpr != "fast" or collection_path.is_dir():
        return None
    return True if not collection_path.relative_to(ROOT).as_posix().startswith(MARKED["fast"]) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        place = item.path.relative_to(ROOT).as_posix()
        name = next((name for name, places in MARKED.items() if place.startswith(places)), None)
        if name and not any(item.get_closest_marker(own) for own in (*MARKED, "simulation")):
            item.add_marker(name)


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The workspace of a file of tests that share one. A file's own `home` may ask for this one, and put things there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERSCOPE_HOME", str(found := tmp_path_factory.mktemp("home")))
        yield found


@pytest.fixture(autouse=True)
def workspace(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace that no user sees, and no other test; or, where a file is marked `one_workspace`, no other file."""
    home: Path = (
        request.getfixturevalue("home") if request.node.get_closest_marker("one_workspace") else tmp_path / "workspace"
    )
    monkeypatch.setenv("FERSCOPE_HOME", str(home))
    return home


@pytest.fixture
def no_process_is_left() -> Iterator[None]:
    """What this test has started ends with it; the server and the browser of others in this process live on."""
    others = set(psutil.Process().children())
    yield
    for child in set(psutil.Process().children()) - others:
        family = [child]
        with suppress(psutil.NoSuchProcess):  # each may have ended by itself meanwhile
            family += child.children(recursive=True)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        child.wait(10)


@pytest.fixture
def pictures() -> NDArray[np.uint8]:
    """Twenty grey images of 48 x 48: noise, so that no two are alike."""
    return np.random.default_rng(0).integers(0, 256, (20, 48, 48), dtype=np.uint8)


@pytest.fixture
def csv_of() -> Callable[..., str]:
    """The text of a fer2013.csv from (emotion, image, usage) rows; an image may be a ready text."""

    def text(rows: list[tuple[object, object, str]]) -> str:
        lines = [CSV_HEADER]
        for emotion, picture, usage in rows:
            numbers = picture if isinstance(picture, str) else " ".join(map(str, np.asarray(picture).ravel()))
            lines.append(f"{emotion},{numbers},{usage}")
        return "\n".join(lines) + "\n"

    return text


@pytest.fixture
def learnable(tmp_path: Path) -> Path:
    """A folder set that a network learns in seconds: two expressions told apart by the direction of stripes."""
    random = np.random.default_rng(1)
    root = tmp_path / "learnable"
    for split, count in (("train", 32), ("val", 16), ("test", 8)):
        for label in ("happy", "sad"):
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                stripes = np.arange(48) // 3 % 2 * random.integers(60, 150)
                picture = random.integers(0, 100, (48, 48)) + (stripes if label == "happy" else stripes[:, None])
                Image.fromarray(picture.astype(np.uint8)).save(folder / f"{number:02d}.png")
    return root
