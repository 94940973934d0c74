"""The training loop: a generator of epochs.

`task.py` defines the data and the network, `batches.py` provides the images, `state.py` holds everything that changes,
and `recorder.py` writes the results into the run folder.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from fer_core.datasets import Dataset
from fer_core.errors import CheckpointError, RunError
from fer_core.models.logits import predict_logits
from fer_core.runs.folder import HEARTBEAT, EpochResult, RunFolder, RunStatus, Stopped, best_epoch
from fer_core.training.batches import Batches, Moment
from fer_core.training.device import pick_device
from fer_core.training.distributed import ALONE, World
from fer_core.training.losses import make_loss
from fer_core.training.recorder import Recorder
from fer_core.training.state import Position, TrainingState
from fer_core.training.task import Task, seed_of

SAVE_EVERY = 60.0  # seconds between two saves in the middle of an epoch
CHECK_EVERY = 20  # steps between two looks at whether the loss is still a number


class Diverged(Exception):
    """The training loss became NaN or infinite."""


class Stopwatch:
    """Seconds of this process since its start, on top of those that an interrupted epoch has used before."""

    def __init__(self, cpu: float, wall: float) -> None:
        self._cpu, self._wall = cpu - time.process_time(), wall - time.perf_counter()

    @property
    def cpu(self) -> float:
        return self._cpu + time.process_time()

    @property
    def wall(self) -> float:
        return self._wall + time.perf_counter()


class Trainer:
    """One run of a recipe on a data set, from a fresh start or from the folder's last save.

    Args:
        on_step: called after each step with the run's status.
        world: this process among those that train the run together; only its leader writes files.

    Raises:
        ConfigError: recipe and data do not fit each other; said before any time is spent.
        CheckpointError: the last save is missing, damaged, of another recipe or of other images.
    """

    def __init__(
        self,
        run: RunFolder,
        dataset: Dataset,
        on_step: Callable[[RunStatus], None] | None = None,
        world: World = ALONE,
    ) -> None:
        self.run, self.on_step, self.world = run, on_step, world
        self.config = run.config()
        if self.config.threads:
            torch.set_num_threads(self.config.threads)
        torch.backends.cudnn.deterministic = True  # a run on a GPU can be repeated to the bit too
        device = pick_device(self.config.device)
        self.task = Task(self.config, dataset)
        self.state = TrainingState(self.task, run.path / "last.safetensors", device, world)
        mixing = self.config.augment.mixup > 0 or self.config.augment.cutmix > 0
        self.loss = make_loss(self.config.loss, self.task.expressions, self.task.labels, mixing).to(device)
        self.batches = Batches(self.task, device, world)
        self.recorder = Recorder(run, self.state)
        self._restore()
        self.recorder.warn_of_leaks()

    def epochs(self) -> Iterator[EpochResult]:
        """Train, yielding each finished epoch; at the end the card and the validation table are written.

        Raises:
            Stopped: a stop was asked for; everything is saved.
            RunError: the training loss became NaN; the last good save is kept and named.
        """
        state, recorder = self.state, self.recorder
        with recorder.running() as recorder.status:
            try:
                if not state.done:
                    state.save()  # a run that fails in its first minute has a state to go back to
                while state.position.epoch < self.config.epochs and not self._out_of_patience():
                    try:
                        result = self._epoch()
                    except Diverged:
                        self._fall_back()
                        continue
                    yield result
                self.world.wait()
                recorder.finish()
            except KeyboardInterrupt:  # perhaps in the middle of an update, which is no state to continue from
                recorder.beat(state="stopped", message="Interrupted; resume continues from the last save.")
                raise
            except (Stopped, GeneratorExit):
                state.save()
                recorder.beat(state="stopped", message="Stopped and saved; resume continues from here.")
                raise
            recorder.beat(state="finished", epoch=state.position.epoch, step=0, seconds_left=0.0)

    def _restore(self) -> None:
        if self.state.restore():
            self.recorder.go_back_to(self.state.position.epoch)
        elif done := len(self.run.metrics()):
            raise CheckpointError(
                f"{self.state.path} is missing, so the run cannot continue from its epoch {done}; put the file back, or "
                "start a new run of the recipe."
            )

    def _fall_back(self) -> None:
        """Continue from the last save in fp32, once, if the program chose the precision.

        Raises:
            RunError: the recipe chose it, or fp32 diverges too.
        """
        state = self.state
        if state.precision == "fp32" or self.config.precision != "auto":
            lr = self.config.optimizer.lr
            raise RunError(
                f"The training loss became NaN or infinite (epoch {state.position.epoch + 1}, step {state.position.step}): the "
                f"training diverged. Use a smaller optimizer.lr than {lr:g}, or optimizer.clip = 1. "
                f"The last good state is {state.path}."
            )
        note = f"The training loss became NaN in {state.precision}; the run continued from the last save in fp32."
        self._restore()
        state.compute_in("fp32", "contiguous")  # on processors fp32 in channels_last can end the process (precision.py)
        self.recorder.beat(message=note)

    def _out_of_patience(self) -> bool:
        results, patience = self.recorder.results, self.config.early_stopping
        best = best_epoch(results)
        return bool(patience) and best is not None and len(results) - best.epoch >= patience

    def _epoch(self) -> EpochResult:
        """The steps from the position to the end of the epoch, then validation.

        Raises:
            Diverged, Stopped: see `epochs`.
        """
        state, recorder, size = self.state, self.recorder, self.config.batch_size
        position, tally = state.position, state.position.tally
        order = self.task.order(position.epoch)
        state.to_train()
        watch = Stopwatch(tally.cpu_seconds, tally.wall_seconds)
        sums = torch.tensor([tally.loss, tally.correct], dtype=torch.float64).to(state.device, torch.float32)
        last_save = last_beat = time.monotonic()
        while position.step < self.task.steps:
            sums += self._step(order[position.step * size : (position.step + 1) * size])
            position.step += 1
            tally.seen += size
            now, ends = time.monotonic(), position.step == self.task.steps
            look = ends or position.step % CHECK_EVERY == 0
            stop = self.run.stop_requested
            if self.world.size > 1:  # they stop at the same step, and to ask all of them is to wait for the devices
                stop = look and any(self.world.gather(stop))
            if stop or look or now - last_save > SAVE_EVERY:
                tally.loss, tally.correct = sums.tolist()
                if not np.isfinite(tally.loss):
                    raise Diverged
            tally.cpu_seconds, tally.wall_seconds = watch.cpu, watch.wall
            if ends or now - last_beat > HEARTBEAT:
                last_beat = now
                recorder.beat()
            if self.on_step:
                self.on_step(recorder.now())
            if stop:
                raise Stopped
            if now - last_save > SAVE_EVERY and not ends:
                last_save = now
                state.save()
        return self._close_epoch(watch)

    def _step(self, rows: NDArray[np.int64]) -> torch.Tensor:
        """One update on a batch; returns (sum of losses, count of right ones).

        Nothing in it waits for a GPU, so that the next step is prepared while this one is computed.
        """
        state, position, world = self.state, self.state.position, self.world
        start = time.perf_counter()
        seed = seed_of(self.config.seed, position.epoch, position.step)
        torch.manual_seed(seed if world.size == 1 else seed_of(seed, world.rank))  # dropout
        draws = torch.Generator().manual_seed(seed)
        inputs, targets = self.batches.batch(rows, Moment(position.epoch, state.progress), draws, state.layout)
        position.tally.data_seconds += time.perf_counter() - start
        state.prepare_step([r.val_loss for r in self.recorder.results if r.val_loss is not None])
        logits = state.logits(inputs)
        loss, weight = self.loss(logits, targets)
        weight = world.add_up(weight)
        state.update(loss / weight)
        right = (logits.detach().argmax(1) == targets.argmax(1)).sum()
        sums = world.add_up(torch.stack([loss.detach() / weight * len(rows), right.float()]))
        position.tally.step_seconds += time.perf_counter() - start
        return sums

    def _close_epoch(self, watch: Stopwatch) -> EpochResult:
        """Validate, record and save.

        Raises:
            Diverged: the last update ruined the network, after the last loss was taken.
        """
        state, tally = self.state, self.state.position.tally
        val_loss, val_accuracy = self._validate() if len(self.task.val_rows) else (None, None)
        result = EpochResult(
            epoch=state.position.epoch + 1,
            train_loss=tally.loss / tally.seen,
            train_accuracy=tally.correct / tally.seen,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            lr=state.optimizer.param_groups[0]["lr"],
            images_per_second=tally.seen / tally.step_seconds,
            data_share=tally.data_seconds / tally.step_seconds,
            cpu_seconds=sum(self.world.gather(watch.cpu)),
            wall_seconds=watch.wall,
        )
        self.recorder.epoch(result)
        state.position = Position(epoch=state.position.epoch + 1)
        state.save()
        return result

    def _validate(self) -> tuple[float, float]:
        """Loss (nats) and accuracy (0..1) on the validation set, of which each process answers a part."""
        images, labels = self.batches.val_images, self.task.val_labels
        own = predict_logits(self.state.served, images[self.world.part(len(images))], self.task.spec)
        logits = np.concatenate(self.world.gather(own))
        loss = float(F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels)))
        if not np.isfinite(loss):
            raise Diverged
        self.recorder.confusion(logits.argmax(1))
        return loss, float((logits.argmax(1) == labels).mean())
