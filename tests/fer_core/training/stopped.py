"""A run that is stopped in the middle of its training."""

import pytest

from fer_core.datasets import Dataset
from fer_core.runs.folder import RunFolder, Stopped
from fer_core.training.loop import Trainer


def train_for(run: RunFolder, dataset: Dataset, steps: int) -> None:
    """Train a run and stop it after some steps."""
    taken = []

    def stop(status: object) -> None:
        taken.append(status)
        if len(taken) == steps:
            run.request_stop()

    with pytest.raises(Stopped):
        list(Trainer(run, dataset, on_step=stop).epochs())
