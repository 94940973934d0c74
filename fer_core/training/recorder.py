"""The files that a training writes into its run folder: status, metrics, best weights, card and predictions."""

from __future__ import annotations

import platform
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from fer_core import __version__
from fer_core.checkpoint import Card, Cost, load_tensors, save_tensors, write_card
from fer_core.datasets.leaks import leak_warning
from fer_core.evaluation.confusion import count_pairs
from fer_core.evaluation.predict import predict_split
from fer_core.evaluation.results import results as figures_of
from fer_core.faces import FOR_PHOTOS
from fer_core.models import NETWORKS
from fer_core.runs.folder import EpochResult, RunFolder, RunStatus, best_epoch
from fer_core.training.device import describe
from fer_core.training.state import TrainingState

NOTHING_CHOSE = "nothing: the last epoch is kept, and there is no validation figure"


class Recorder:
    """Writes what a training does; of several processes only the leader's does.

    Attributes:
        results: the finished epochs.
        status: the last one that was made, whether it was written or not.
        looked: (processor, wall) seconds when the use of the machine was last measured.
    """

    def __init__(self, run: RunFolder, state: TrainingState) -> None:
        self.run, self.state, self.task = run, state, state.task
        self.leads = state.world.leads
        self.results: list[EpochResult] = []
        self.status = RunStatus()
        self.looked = time.process_time(), time.monotonic()

    def warn_of_leaks(self) -> None:
        """Write a warning into the run folder if training images are also in the validation set."""
        config = self.task.config
        if not self.leads or not config.val_split:
            return
        if text := leak_warning(self.task.asked, config.val_split, config.train_split):
            self.run.write_warning(text)

    def running(self) -> AbstractContextManager[RunStatus]:
        """Mark the run as running; yields its status."""
        config = self.task.config
        known = {"epochs": config.epochs, "steps": self.task.steps, "device": self._computes()}
        return self.run.running(**known) if self.leads else nullcontext(replace(self.run.status(), **known))  # type: ignore[arg-type]

    def go_back_to(self, epoch: int) -> None:
        """Shorten the history to an epoch."""
        self.results = self.run.metrics()[:epoch]
        if self.leads:
            self.run.write_metrics(self.results)

    def now(self, **changes: object) -> RunStatus:
        """The status at this moment, with `changes`."""
        position, task = self.state.position, self.task
        seen, seconds = position.tally.seen, position.tally.step_seconds
        left = task.total_steps - self.state.done
        rate = seen / seconds if seconds else self.results[-1].images_per_second if self.results else 0.0
        values = {
            "epoch": position.epoch,
            "step": position.step,
            "images_per_second": rate,
            "seconds_left": left * task.config.batch_size / rate if rate else 0.0,
            "heartbeat": time.time(),
        }
        return replace(self.status, **(values | changes))  # type: ignore[arg-type]

    def beat(self, **changes: object) -> None:
        """Write the status at this moment, with `changes`."""
        self.status = self.now(**self.use(), **changes)
        if self.leads:
            self.run.write(self.status)

    def use(self) -> dict[str, object]:
        """What this process uses of the machine; nothing new within a second of the last look."""
        now = time.process_time(), time.monotonic()
        busy, since = now[0] - self.looked[0], now[1] - self.looked[1]
        if since < 1.0:
            return {}
        self.looked = now
        device = self.state.device
        on_gpu = torch.cuda.memory_reserved(device) if device.type == "cuda" else 0
        return {"processors": busy / since, "memory": psutil.Process().memory_info().rss, "gpu_memory": on_gpu}

    def confusion(self, predicted: NDArray[np.int64]) -> None:
        """Write the confusion matrix of the validation set after an epoch."""
        if self.leads:
            self.run.write_confusion(count_pairs(self.task.val_labels, predicted, len(self.task.expressions)))

    def epoch(self, result: EpochResult) -> None:
        """Write a finished epoch; the best weights so far become the run's checkpoint, without validation the last."""
        self.results.append(result)
        if not self.leads:
            return
        self.run.write_metrics(self.results)
        if best_epoch(self.results) in (None, result):
            save_tensors(self.run.path / "best.safetensors", dict(self.state.served.state_dict()))
            write_card(self.run.path, self._card({}))

    def finish(self) -> None:
        """Write the final card; where there is a validation set, with the best weights' figures and predictions on it."""
        if not self.leads:
            return
        task, split = self.task, self.task.config.val_split
        if not split:
            return write_card(self.run.path, self._card({}))
        served = self.state.served
        served.load_state_dict(load_tensors(self.run.path / "best.safetensors")[0])
        predictions = predict_split(
            served, task.asked, split, spec=task.spec, expressions=task.expressions, tta=task.config.tta
        )
        key = f"{task.dataset.name}-{split}"
        predictions.write(self.run.path / f"predictions-{key}.parquet", "selected")
        found = figures_of(predictions, task.dataset, split, task.config.train_split, "selected")
        write_card(self.run.path, self._card({key: found}))

    def _card(self, results: dict[str, dict[str, object]]) -> Card:
        task, config, state = self.task, self.task.config, self.state
        best = best_epoch(self.results) or self.results[-1]
        chosen_on = f"{task.dataset.title}, {config.val_split} ({len(task.val_rows):,} images)"
        prepared = task.spec.preparation
        return Card(
            name=self.run.name,
            title=config.about.title or NETWORKS.get(config.network).title,
            network=config.network,
            arguments=config.arguments,
            parameters=sum(p.numel() for p in state.model.parameters()),
            expressions_name=task.expressions.name,
            expressions=task.expressions.names,
            image=task.spec,
            face=prepared.framing if prepared and prepared.detector != "none" else FOR_PHOTOS,
            tta=config.tta,
            leave_out=config.leave_out,
            data=task.dataset.title,
            train_images=len(task.rows),
            chosen_on=chosen_on if config.val_split else NOTHING_CHOSE,
            best_epoch=best.epoch,
            start=state.start,
            epochs=len(self.results),
            seed=config.seed,
            recipe=config.model_dump(mode="json", exclude_defaults=True),
            versions={"ferscope": __version__, "torch": torch.__version__, "python": platform.python_version()},
            cost=self._cost(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            results=results,
        )

    def _computes(self) -> str:
        """The device and precision in words, for status and card."""
        return f"{describe(self.state.device)}, {self.state.precision}, {self.state.layout_name}"

    def _cost(self) -> Cost:
        return Cost(
            cpu_minutes=round(sum(r.cpu_seconds for r in self.results) / 60, 2),
            wall_minutes=round(sum(r.wall_seconds for r in self.results) / 60, 2),
            device=self._computes(),
            images_per_second=round(float(np.median([r.images_per_second for r in self.results])), 1),
        )
