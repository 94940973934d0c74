"""Lab 1, “How good is good?”: baseline, interval, two networks, another data set, and people."""

from __future__ import annotations

from fer_core.checkpoint import PREDICTIONS
from fer_core.classroom.exercises import Given, Lab, Question
from fer_core.errors import ClassError
from fer_core.evaluation.comparison import Comparison, compare
from fer_core.evaluation.report import Headline, headline
from fer_core.runs import store

KEY, HEADS = "fer2013-val", "heads-test"
ONE, OTHER = "small-vgg", "mini-xception"
YES_NO = ("yes", "no")


def _figures(key: str = KEY) -> Headline:
    return headline(store.find(ONE).predictions(key))


def _pair() -> Comparison:
    return compare(store.find(ONE).predictions(KEY), store.find(OTHER).predictions(KEY))


def baseline() -> Given:
    counts = store.find(ONE).predictions(KEY).table["label"].value_counts()
    return float(100 * counts.max() / counts.sum())


def difference() -> Given:
    return 100 * (_figures().accuracy - headline(store.find(OTHER).predictions(KEY)).accuracy)


def people() -> Given:
    """The accuracy of the newest class that was kept as a network.

    Raises:
        ClassError: there is none.
    """
    for network in store.checkpoints().values():
        if network.card.network == PREDICTIONS and network.name.startswith("class-"):
            return 100 * headline(network.predictions(next(iter(network.tables)))).accuracy
    raise ClassError("No class has been kept as a network. Your teacher does it on the page Class, in Results.")


LAB = Lab(1, "How good is good?", (
    Question(
        "baseline", "Which accuracy has somebody who always answers the most frequent expression of the FER2013 validation set?",
        "%", baseline, "Data or Evaluate shows how often each expression occurs. Divide the largest number by n = 3,589.",
    ),
    Question(
        "accuracy", "Which accuracy has Small VGG on the FER2013 validation set?", "%", lambda: 100 * _figures().accuracy,
        "Choose Small VGG and the FER2013 validation set on Overview. The first sentence has it. It is not the macro-F1.",
    ),
    Question(
        "low", "What is the lower end of its 95 % confidence interval?", "%",
        lambda: 100 * _figures().accuracy_interval.low, "It stands in brackets behind the accuracy on Overview.",
    ),
    Question(
        "high", "What is the upper end?", "%", lambda: 100 * _figures().accuracy_interval.high,
        "It stands in brackets behind the accuracy on Overview.",
    ),
    Question(
        "difference", "By how many points is Small VGG more accurate than mini-Xception on these images?", "points", difference,
        "Compare shows the difference of the two accuracies. A positive number means that Small VGG is better.", within=0.11,
    ),
    Question(
        "significant", "Is that difference significant?", "", lambda: YES_NO[0] if _pair().better else YES_NO[1],
        "Look at the p value on Compare: significant means p ≤ 0.05. The two intervals may overlap all the same, because both "
        "networks saw the same images.", YES_NO,
    ),
    Question(
        "heads", "Which accuracy has Small VGG on the test set of the rendered heads?", "%",
        lambda: 100 * _figures(HEADS).accuracy, "Keep Small VGG and choose the rendered heads, test set, as the data.",
    ),
    Question(
        "people", "Which accuracy has your class, kept as a network, on the images that it saw?", "%", people,
        "Choose the class as the network on Overview. It is the accuracy of the majority, not the mean of the people.",
    ),
))  # fmt: skip
