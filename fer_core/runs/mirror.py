"""A run's history in the form of another program, written as the run goes; the run's folder stays the truth."""

from __future__ import annotations

from fer_core.errors import ConfigError
from fer_core.runs.folder import EpochResult, RunFolder

PLACE = "tensorboard"  # in the run's folder
CURVES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "images_per_second")


class TensorBoard:
    """Writes the epochs of a run as TensorBoard's events, each once, also after a run was resumed.

    Raises:
        ConfigError: tensorboard is not installed.
    """

    def __init__(self, run: RunFolder) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ConfigError("--log tensorboard needs it: pip install 'ferscope[tensorboard]'.") from error
        self.run, self.done = run, len(run.metrics())
        self.writer = SummaryWriter(str(run.path / PLACE))

    def catch_up(self) -> None:
        """Write the epochs that have finished since."""
        results = self.run.metrics()
        for result in results[self.done :]:
            self._write(result)
        self.done = max(self.done, len(results))

    def _write(self, result: EpochResult) -> None:
        for name in CURVES:
            if (value := getattr(result, name)) is not None:
                self.writer.add_scalar(name.replace("_", "/", 1), value, result.epoch)
        self.writer.flush()
