"""The interface for notebooks, and the notebooks in docs/, whose code is run as it stands."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fer_core as fer
from fer_core.errors import FerError
from fer_core.evaluation.comparison import compare
from fer_core.evaluation.report import evaluate
from fer_core.runs.store import find

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "docs" / "notebooks").glob("*.ipynb"))


def test_importing_and_looking_cost_no_torch() -> None:
    code = (
        "import sys, fer_core as fer\n"
        "assert not {'pandas', 'torch'} & set(sys.modules)\n"
        "fer.load('mini-xception').report('heads-test'); fer.compare('mini-xception', 'small-vgg', table='heads-test')\n"
        "assert not {'torch', 'captum'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        fer.nothing  # noqa: B018
    assert {"load", "open_data", "evaluate", "compare"} <= set(dir(fer))


def test_figures_and_comparison_are_those_of_the_library() -> None:
    one, two = (find(name).predictions("heads-test") for name in ("mini-xception", "small-vgg"))
    report = fer.load("mini-xception").report("heads-test")
    assert report.figures.accuracy == evaluate(one).accuracy
    assert f"{100 * evaluate(one).accuracy:.1f} %" in repr(report)
    assert report.confusion.to_numpy().sum() == len(one)
    assert "<table" in report._repr_html_()
    assert fer.compare("mini-xception", fer.load("small-vgg"), table="heads-test").test == compare(one, two).test
    board = fer.compare("mini-xception", "small-vgg", "fer2013-fast", table="heads-test")
    assert set(board["name"]) == {"mini-xception", "small-vgg", "fer2013-fast"}


def test_a_network_predicts_and_explains_a_file(tmp_path: Path) -> None:
    from PIL import Image

    heads = fer.open_data("heads")
    face = heads.picture(heads.rows("test")[0])
    Image.fromarray(face).save(tmp_path / "face.png")
    network = fer.load("mini-xception")
    one = network.predict(tmp_path / "face.png", "none")[0]
    assert one.probs == network.predict(face, "none")[0].probs
    made = network.explain(face, "occlusion", "sad", detector="none", window=12, stride=12)
    assert made.values.shape == one.picture.shape
    assert made.values.any()
    assert made.overlay.shape == (192, 192, 3)
    assert made._repr_html_().count("<img") == 2
    assert "mini-Xception" in network._repr_html_()
    with pytest.raises(FerError, match="No face was found"):
        network.explain(np.zeros((64, 64), np.uint8))
    with pytest.raises(FerError, match="needs two networks"):
        fer.compare(network)
    with pytest.raises(FerError, match="There is no"):
        fer.load("nothing-like-that")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    known: dict[str, object] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            assert not cell["outputs"], "notebooks are kept without outputs"
            exec(compile("".join(cell["source"]), f"{path.name}, {cell['id']}", "exec"), known)
    assert len(cells) > 4
