"""The work of a run's process: train it from its last save and print its progress line by line."""

from __future__ import annotations

from collections.abc import Callable

from fer_core.checkpoint import read_card
from fer_core.datasets import Dataset
from fer_core.evaluation.results import in_words
from fer_core.runs.folder import EpochResult, RunFolder, RunStatus
from fer_core.runs.own_split import divided
from fer_core.training.distributed import ALONE, World
from fer_core.training.loop import Trainer


def train(
    run: RunFolder,
    dataset: Dataset,
    say: Callable[[str], None] = print,
    on_step: Callable[[RunStatus], None] | None = None,
    world: World = ALONE,
) -> None:
    """Train a run whose turn has come, to its end.

    Args:
        say: called with each line of the log.

    Raises:
        Stopped, FerError: as `Trainer` and `Trainer.epochs`.
    """
    trainer = Trainer(run, divided(run, dataset), on_step=on_step, world=world)
    say(f"Run {run.name}: {trainer.config.network} on {dataset.title}, {len(trainer.task.rows):,} images.")
    if trainer.task.left_out:
        say(f"Left out {trainer.task.left_out:,} images labelled {', '.join(trainer.config.leave_out)}.")
    if trainer.state.start:
        say(f"Start: {trainer.state.start.sentence}.")
    say(f"Speed: {trainer.state.speed_note}.")
    if warning := run.warning():
        say(f"Leakage: {warning}")
    for result in trainer.epochs():
        say(epoch_line(result))


def epoch_line(result: EpochResult) -> str:
    validation = (
        f"validation loss {result.val_loss:.3f} nats, accuracy {result.val_accuracy:6.2%}; "
        if result.val_loss is not None
        else ""
    )
    return (
        f"Epoch {result.epoch:3d}: training loss {result.train_loss:.3f} nats, accuracy {result.train_accuracy:6.2%}; "
        f"{validation}{result.images_per_second:,.0f} images/s, data loading {result.data_share:.1%} of the step"
    )


def outcome(run: RunFolder) -> str:
    """How a finished run ended, and where its files are."""
    card = read_card(run.path)
    if not card.results:
        return f"There is no validation set: the last epoch ({card.best_epoch}) is kept.\nWritten to {run.path}"
    lines = [f"Best epoch {card.best_epoch}. {in_words(key, figures)}" for key, figures in card.results.items()]
    return "\n".join([*lines, f"Written to {run.path}"])
