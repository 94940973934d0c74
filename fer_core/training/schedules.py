"""Learning-rate schedules as pure functions: the factor on the recipe's learning rate at a point of the run.

The factor only depends on the progress (and, for plateau, on the history on disk), so a schedule has no state to save.
"""

import math
from collections.abc import Sequence

from fer_core.recipe import Schedule


def factor(schedule: Schedule, progress: float, losses: Sequence[float]) -> float:
    """Factor on the learning rate.

    Args:
        progress: share of the run's steps that is done, 0..1.
        losses: validation loss of each finished epoch.
    """
    if schedule.name == "step" and progress >= schedule.warmup:
        return float(schedule.factor ** sum(progress >= share for share in schedule.milestones))
    if schedule.name == "plateau":
        return schedule.factor ** _plateaus(losses, schedule.patience)
    if schedule.name == "constant":
        return 1.0
    if progress < schedule.warmup:
        start = 0.04 if schedule.name == "onecycle" else 0.0  # Smith and Topin 2018 start at 1/25 of the highest
        return start + (1 - start) * _rise(schedule, progress / schedule.warmup)
    fall = (progress - schedule.warmup) / (1 - schedule.warmup)
    return schedule.final + (1 - schedule.final) * (1 + math.cos(math.pi * fall)) / 2


def _rise(schedule: Schedule, share: float) -> float:
    return (1 - math.cos(math.pi * share)) / 2 if schedule.name == "onecycle" else share


def _plateaus(losses: Sequence[float], patience: int) -> int:
    """How often the loss has gone `patience` epochs without a new best; the count starts anew after each."""
    best, waited, plateaus = math.inf, 0, 0
    for loss in losses:
        if loss < best:
            best, waited = loss, 0
        else:
            waited += 1
            if waited >= patience:
                plateaus, waited = plateaus + 1, 0
    return plateaus
