"""Predictions tables for tests: from labels and logits, and any at all."""

from hypothesis import strategies as st

from fer_core.evaluation.predictions import Predictions
from fer_core.labels import FER7, Expressions

THREE = Expressions("custom", ("happy", "sad", "neutral"))


def table(labels: list[int], logits, expressions: Expressions = THREE) -> Predictions:
    names = [expressions.names[i] for i in labels]
    return Predictions.from_logits(range(len(labels)), "toy", "val", names, logits, expressions)


@st.composite
def tables(draw: st.DrawFn, k: int = 4) -> Predictions:
    n = draw(st.integers(1, 30))
    labels = draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n))
    # Whole numbers, so that ties and certain answers occur.
    logits = draw(st.lists(st.lists(st.integers(-60, 60), min_size=k, max_size=k), min_size=n, max_size=n))
    return table(labels, logits, Expressions("custom", FER7.names[:k]))
