"""How much faster the vectorised bootstrap is than a loop over scikit-learn: `python -m tests.benchmarks.evaluation`.

Both bootstrap accuracy and macro-F1 of 7,178 images (FER2013's two test parts together), seven expressions. The loop
draws images with replacement and calls scikit-learn on each sample; it is timed on fewer samples and scaled by their
number. The two take turns, so that a slow moment of the machine meets both; the ratio of the medians is reported.
"""

import platform
from statistics import median
from time import perf_counter

import numpy as np
import sklearn
from sklearn.metrics import accuracy_score, f1_score

from fer_core.evaluation import confusion
from fer_core.evaluation.intervals import RESAMPLES, percentile, resample
from fer_core.evaluation.metrics import decisions

IMAGES, CLASSES, LOOP_SAMPLES, REPEATS, GOAL = 7178, 7, 40, 7, 300


def vectorised(label: np.ndarray, predicted: np.ndarray) -> list[tuple[float, float]]:
    samples = resample(confusion.count_pairs(label, predicted, CLASSES), RESAMPLES)
    return [percentile(decisions.accuracy(samples)), percentile(decisions.macro_f1(samples))]


def loop(label: np.ndarray, predicted: np.ndarray, samples: int) -> list[tuple[float, float]]:
    random = np.random.default_rng(0)
    values = []
    for _ in range(samples):
        rows = random.integers(0, len(label), len(label))
        y, z = label[rows], predicted[rows]
        values.append((accuracy_score(y, z), f1_score(y, z, average="macro")))
    return [percentile(column) for column in np.array(values).T]


def main() -> None:
    random = np.random.default_rng(0)
    label = random.integers(0, CLASSES, IMAGES)
    predicted = np.where(random.random(IMAGES) < 0.7, label, random.integers(0, CLASSES, IMAGES))
    vectorised(label, predicted), loop(label, predicted, 2)  # warm up
    ours, theirs = [], []
    for _ in range(REPEATS):
        start = perf_counter()
        fast = vectorised(label, predicted)
        ours.append(perf_counter() - start)
        start = perf_counter()
        slow = loop(label, predicted, LOOP_SAMPLES)
        theirs.append((perf_counter() - start) * RESAMPLES / LOOP_SAMPLES)
    ratio = median(theirs) / median(ours)
    print(f"Python {platform.python_version()}, numpy {np.__version__}, scikit-learn {sklearn.__version__}")
    print(f"Bootstrap of accuracy and macro-F1, {RESAMPLES:,} samples of {IMAGES:,} images, median of {REPEATS}:")
    print(f"  vectorised             {1e3 * median(ours):10.1f} ms   ({1e3 * min(ours):.1f} to {1e3 * max(ours):.1f})")
    print(f"  loop over scikit-learn {1e3 * median(theirs):10.1f} ms   (scaled from {LOOP_SAMPLES} samples)")
    print(f"  {ratio:.0f} times faster; goal: at least {GOAL}")
    for name, left, right in zip(("accuracy", "macro-F1"), fast, slow, strict=True):
        print(f"  {name}: {left[0]:.4f} to {left[1]:.4f}, by the loop {right[0]:.4f} to {right[1]:.4f}")


if __name__ == "__main__":
    main()
