"""The promise of extension: each example of README and CONTRIBUTING is dropped into a copy of the code as the one file it
is, and everything that tests such a thing tests it there, mypy too."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dashboard.tour import SEEN
from fer_core.datasets import READERS
from fer_core.evaluation.metrics import METRICS
from fer_core.explanation import METHODS
from fer_core.models import NETWORKS

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES: dict[str, str] = {
    path: code
    for document in ("README.md", "CONTRIBUTING.md")
    for path, code in re.findall(
        r", as\s+`([\w/]+\.py)`:\s+```python\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL
    )
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code with the examples in it."""
    place = tmp_path_factory.mktemp("extended")
    for name in ("fer_core", "dashboard", "trainers", "tests"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "CONTRIBUTING.md", "checkpoints"):
        (place / name).symlink_to(ROOT / name)
    if (known := ROOT / ".mypy_cache").is_dir():  # what mypy knows of the unchanged files saves it a minute
        shutil.copytree(known, place / known.name)
    for path, code in EXAMPLES.items():
        assert not (place / path).exists(), f"{path} exists already: an example has to be a new file"
        (place / path).write_text(code, encoding="utf-8")
    return place


def run(copy: Path, *arguments: str) -> str:
    """What Python says in the copy, where only the copy can be imported."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "FERSCOPE_HOME": str(copy / "workspace")}
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
    return ended.stdout


def test_there_is_an_example_of_each_kind() -> None:
    places = {str(Path(path).parent) for path in EXAMPLES}
    assert {
        "fer_core/models",
        "fer_core/datasets",
        "fer_core/explanation",
        "fer_core/evaluation/metrics",
        "trainers/commands",
        "dashboard/views",
    } <= places


def test_network_data_set_method_and_metric_pass_their_contracts(copy: Path) -> None:
    listed = run(copy, "-c", (
        "from fer_core.datasets import READERS; from fer_core.evaluation.metrics import METRICS\n"
        "from fer_core.explanation import METHODS; from fer_core.models import NETWORKS\n"
        "print(*READERS.names(), *METHODS.names(), *METRICS.names(), *NETWORKS.names())"
    ))  # fmt: skip
    new = set(listed.split()) - {*READERS.names(), *METHODS.names(), *METRICS.names(), *NETWORKS.names()}
    assert len(new) == 4
    said = run(
        copy, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "tests/contracts", "-k", " or ".join(new)
    )
    assert int(re.findall(r"(\d+) passed", said)[0]) >= 3 * len(new)
    assert "skipped" not in said


def test_the_arrows_hold_and_types_are_right(copy: Path) -> None:
    run(
        copy,
        "-m",
        "pytest",
        "-q",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "tests/test_architecture.py",
        "-k",
        "not opening",
    )
    run(copy, "-m", "mypy", *EXAMPLES)


def test_the_command_and_the_page_are_found(copy: Path) -> None:
    (copy / "workspace").mkdir(exist_ok=True)
    (copy / "workspace" / SEEN).touch()  # no tour on Home
    assert "Hello Ada." in run(copy, "-m", "trainers.cli", "hello", "Ada")
    page = (
        "from streamlit.testing.v1 import AppTest\n"
        "app = AppTest.from_file('dashboard/Home.py', default_timeout=60).run().switch_page('views/hello.py').run()\n"
        "assert not app.exception, app.exception\n"
        "print(app.title[0].value, app.markdown[0].value)"
    )
    assert "Hello There are 5 networks." in run(copy, "-c", page)
