"""Lab 3, “Train and break”: train a network, let one overfit, rotate the images, repair."""

from __future__ import annotations

from fer_core.classroom.exercises import Given, Lab, Question
from fer_core.errors import ClassError
from fer_core.evaluation import robustness
from fer_core.runs import store
from fer_core.runs.folder import RunFolder, best_epoch

FIRST, OVERFIT, REPAIRED = "first", "overfit", "repaired"
SHIFT, SEVERITY = "rotation", 5

BEST = (
    "Train shows it as “Best validation accuracy”. It is not that of the last epoch, and not the figure on Overview, where each "
    "image and its mirror image are averaged."
)


def _finished(name: str) -> RunFolder:
    """
    Raises:
        ClassError: this workspace has no finished run of the name.
    """
    run = RunFolder.named(name)
    if not run.path.is_dir() or run.status().state != "finished":
        raise ClassError(
            f"Your workspace has no finished run called “{name}”. Train it first, with the settings of the sheet."
        )
    return run


def best(name: str) -> Given:
    found = best_epoch(_finished(name).metrics())
    if found is None or found.val_accuracy is None:
        raise ClassError(f"The run “{name}” was not validated. Train it with a validation set.")
    return 100 * found.val_accuracy


def gap(name: str) -> Given:
    last = _finished(name).metrics()[-1]
    return 100 * (last.train_accuracy - (last.val_accuracy or 0.0))


def shifted(name: str, severity: int = SEVERITY) -> float:
    """Accuracy in % on the most images of the rendered heads' validation set that were rotated so."""
    _finished(name)
    for one in robustness.measured(store.find(name).folder):
        if (one.dataset, one.split) == ("heads", "val"):
            table = one.table()
            kind = SHIFT if severity else robustness.CLEAN
            found = table[(table["corruption"] == kind) & (table["severity"] == severity)]
            if len(found):
                return float(100 * found["accuracy"].iloc[0])
    raise ClassError(
        f"The robustness of “{name}” on the rendered heads' validation set was not measured. Start it on Robustness."
    )


LAB = Lab(3, "Train and break", (
    Question(
        "first", "Which validation accuracy has “first” in its best epoch?", "%", lambda: best(FIRST),
        BEST,
    ),
    Question(
        "overfit", "Which validation accuracy has “overfit” in its best epoch?", "%", lambda: best(OVERFIT),
        BEST,
    ),
    Question(
        "gap", "By how many points is the training accuracy of “overfit” above its validation accuracy in the last epoch?",
        "points", lambda: gap(OVERFIT), "The learning curves end there: subtract the validation accuracy from the training "
        "accuracy. The log has both figures of the last epoch.", within=0.11,
    ),
    Question(
        "rotated", "Which accuracy has “first” on the validation set rotated by 45 degrees (severity 5)?", "%",
        lambda: shifted(FIRST), "Robustness, rotation, severity 5. Choose the rendered heads' validation set.",
    ),
    Question(
        "repaired", "Which accuracy has “repaired” on the same rotated images?", "%", lambda: shifted(REPAIRED),
        "Choose “repaired” as the network; severity 5 again.",
    ),
    Question(
        "price", "How many points of accuracy does the repair cost on images that are not rotated (first minus repaired)?",
        "points", lambda: shifted(FIRST, 0) - shifted(REPAIRED, 0),
        "Both accuracies on uncorrupted images are in the first row of the tables on Robustness. A negative number means that "
        "the repair has helped there too.", within=0.11,
    ),
))  # fmt: skip
