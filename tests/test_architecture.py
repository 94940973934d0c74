"""The arrows of the design: what may import what, and what opening a page may cost."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def imported(path: Path) -> set[str]:
    """Top-level names of every import of a file, wherever it stands in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", sorted((ROOT / "fer_core").rglob("*.py")), ids=lambda path: path.stem)
def test_the_library_imports_no_user_interface(path: Path) -> None:
    assert not imported(path) & {"streamlit", "gradio", "plotly", "altair", "dashboard", "trainers"}


@pytest.mark.parametrize("path", sorted((ROOT / "dashboard").rglob("*.py")), ids=lambda path: path.stem)
def test_pages_do_not_import_the_command_line(path: Path) -> None:
    assert "trainers" not in imported(path)


def loaded_by(code: str) -> set[str]:
    """The modules that are loaded in a fresh process after some code."""
    program = f"{code}\nimport sys; print(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )


def test_importing_every_table_module_loads_nothing_slow() -> None:
    code = (
        "import fer_core, fer_core.labels, fer_core.images, fer_core.checkpoint, fer_core.runs.store, fer_core.training.launch\n"
        "import fer_core.evaluation.metrics, fer_core.evaluation.comparison, fer_core.evaluation.calibration\n"
        "from fer_core.datasets import READERS, open_dataset\n"
        "from fer_core.datasets.known import known\n"
        "from fer_core.recipe import recipes, load_recipe\n"
        "READERS.names(); known(); [load_recipe(name) for name in recipes()]\n"
    )
    slow = {"torch", "torchvision", "captum", "gradio", "sklearn", "streamlit", "plotly", "scipy", "cv2"}
    assert not loaded_by(code) & slow


def test_only_home_routes() -> None:
    routers = [p.name for p in (ROOT / "dashboard").rglob("*.py") if "st.navigation(" in p.read_text(encoding="utf-8")]
    assert routers == ["Home.py"]


def test_nothing_unpickles() -> None:
    for folder in ("fer_core", "dashboard", "trainers"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if path.name == "transfer.py":  # foreign weights: tensors alone, and pickle's error for all that holds more
                assert text.count("torch.load(") == text.count("weights_only=True)") == 1
                lines = [line.strip() for line in text.splitlines() if "import" in line and "pickle" in line]
                assert lines == ["from pickle import UnpicklingError"]
            else:
                assert not imported(path) & {"pickle", "joblib", "dill", "cloudpickle"}, path
                assert "torch.load" not in text, path
            assert "allow_pickle=True" not in path.read_text(encoding="utf-8"), path
