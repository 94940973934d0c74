"""Initial weights of a run (from ImageNet, a file, or another network), and the part of the network that they fill.

Tensors are matched by name. Tensors that do not fit keep their random values and are listed in the report. A file of
which most does not fit is refused at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fer_core import workspace
from fer_core.checkpoint import Start, load_tensors, weights_path
from fer_core.errors import CheckpointError, ConfigError
from fer_core.images import ImageSpec
from fer_core.labels import Expressions
from fer_core.models import NETWORKS, build, head_of
from fer_core.recipe import TrainConfig
from fer_core.runs.store import find

ENOUGH = 0.75  # share of the part before the head that has to be in the file
PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".tar", ".t7")
SHELLS = ("state_dict", "model_state_dict", "model", "net")  # under which training scripts keep the weights
WRAPPERS = ("module.", "model.", "backbone.")
COUNT = "num_batches_tracked"  # of a batch norm; older files have none


def start_from(model: nn.Module, config: TrainConfig, spec: ImageSpec, expressions: Expressions) -> Start:
    """Put the weights that a recipe names into its fresh network.

    The last layer is taken over only from a network of the same expressions, or from a file of as many classes. A first
    convolution for colour is added up over its channels for grey images, one for grey is shared out among three.

    Returns:
        what was taken, and what was not.

    Raises:
        ConfigError: the network has no such weights, they cannot be had here, or they are another architecture's.
        CheckpointError: the file is damaged, or a pickle that holds more than tensors.
        UnknownName: neither a file nor a network of that name.
    """
    entry, source = NETWORKS.get(config.network), config.transfer.weights
    if entry.head is None:
        raise ConfigError(
            f"transfer.weights: {config.network} is made of trained networks and starts from none; combine them with "
            "`ferscope ensemble`."
        )
    path, known = _file(config, source)
    tensors = plain(read_weights(path))
    if entry.translate:
        tensors = entry.translate(tensors, model)
    others = known is not None and known != expressions.names
    skipped = _of_classes(config, spec, len(expressions)) & set(tensors) if others else set()
    counts = {name: value for name, value in model.state_dict().items() if name.endswith(COUNT)}
    own = {name: value for name, value in model.state_dict().items() if name not in counts}
    fitted = {
        name: _fitted(tensors[name], value, spec.channels)
        for name, value in own.items()
        if name in tensors and name not in skipped
    }
    taken = {name: value for name, value in fitted.items() if value is not None}
    start = Start(
        source=source if source != "imagenet" else f"imagenet ({path.name})",
        matched=len(taken),
        adapted=tuple(name for name in taken if tensors[name].shape != own[name].shape),
        missing=tuple(name for name in own if name not in tensors),
        unexpected=tuple(name for name in tensors if name not in own and not name.endswith(COUNT)),
        reshaped={
            name: f"{_shape(tensors[name])} for {_shape(own[name])}" for name, value in fitted.items() if value is None
        },
        skipped=tuple(sorted(skipped)),
    )
    _refuse_another(own, taken, tensors, start, head_of(config.network, model), config)
    with torch.no_grad():
        for name, value in taken.items():
            own[name].copy_(value)
        for name in counts.keys() & tensors.keys():
            counts[name].copy_(tensors[name])
    return start


def _file(config: TrainConfig, source: str) -> tuple[Path, tuple[str, ...] | None]:
    """The file of weights, and the expressions of its outputs where they are known."""
    if source == "imagenet":
        imagenet = NETWORKS.get(config.network).imagenet
        if imagenet is None:
            having = ", ".join(name for name, entry in NETWORKS.items() if entry.imagenet)
            raise ConfigError(f"transfer.weights = “imagenet”: there are none for {config.network}, only for {having}.")
        return imagenet(config.arguments), None
    path = Path(source).expanduser()
    if path.suffix in (".safetensors", *PICKLED):
        if not path.is_file() or not workspace.may_open(path, *workspace.read_only()):
            raise ConfigError(
                f"transfer.weights: there is no file {path.absolute()}; put the weights there, or name another file."
            )
        return path, None
    found = find(source)
    return weights_path(found.folder), found.card.expressions


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file. Of a pickle only tensors are read; one that holds anything else is refused.

    Raises:
        CheckpointError: no intact file of tensors.
    """
    if path.suffix not in PICKLED:
        return load_tensors(path)[0]
    from pickle import UnpicklingError

    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors, and loading it could run any program, so it is not opened "
            f"({str(error).partition('. ')[0].splitlines()[0]}); save its state_dict() alone, best as safetensors."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise CheckpointError(
            f"{path} is no intact file of weights ({type(error).__name__}); copy it again, or save its state_dict()."
        ) from error
    for shell in SHELLS:
        if isinstance(found, Mapping) and isinstance(found.get(shell), Mapping):
            found = found[shell]
    tensors = {str(name): value for name, value in found.items() if isinstance(value, torch.Tensor)} if isinstance(
        found, Mapping
    ) else {}  # fmt: skip
    if not tensors:
        raise CheckpointError(f"{path} holds no named tensors but {type(found).__name__}; expected a state_dict().")
    return tensors


def plain(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Without the `module.` or the like that a training script has put before every name."""
    for wrapper in WRAPPERS:
        if all(name.startswith(wrapper) for name in tensors):
            tensors = {name.removeprefix(wrapper): value for name, value in tensors.items()}
    return tensors


def _of_classes(config: TrainConfig, spec: ImageSpec, classes: int) -> set[str]:
    """The tensors whose shape depends on the number of expressions."""
    shapes = []
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        for count in (classes, classes + 1):
            model = build(config.network, classes=count, spec=spec, arguments=config.arguments)
            shapes.append({name: value.shape for name, value in model.state_dict().items()})
    return {name for name, shape in shapes[0].items() if shapes[1][name] != shape}


def _fitted(value: torch.Tensor, own: torch.Tensor, channels: int) -> torch.Tensor | None:
    """A tensor in the network's shape; None where it has another one."""
    if value.shape == own.shape:
        return value
    if value.ndim != 4 or own.ndim != 4 or own.shape[1] != channels or {value.shape[1], channels} != {1, 3}:
        return None
    if value.shape[0] != own.shape[0] or value.shape[2:] != own.shape[2:]:
        return None
    return value.sum(dim=1, keepdim=True) if channels == 1 else value.expand(-1, 3, -1, -1) / 3


def _shape(value: torch.Tensor) -> str:
    return "x".join(map(str, value.shape)) or "1"


def _refuse_another(
    own: Mapping[str, torch.Tensor],
    taken: Mapping[str, torch.Tensor],
    tensors: Mapping[str, torch.Tensor],
    start: Start,
    head: str,
    config: TrainConfig,
) -> None:
    """Raise where too little of the part before the head is in the file, or too much more than it.

    What the file has more in parts that the network has too speaks against it, as of a ResNet-34 for a ResNet-18; what
    it has in other parts (another head, an auxiliary classifier) does not.
    """
    body = [name for name in own if not name.startswith(f"{head}.")]
    parts = {name.partition(".")[0] for name in body}
    more = [name for name in start.unexpected if name.partition(".")[0] in parts]
    matched = [name for name in body if name in taken]
    counts = len(matched) / (len(body) + len(more))
    values = sum(own[name].numel() for name in matched) / (
        sum(own[name].numel() for name in body) + sum(tensors[name].numel() for name in more)
    )
    if min(counts, values) < ENOUGH:
        raise ConfigError(
            f"transfer.weights = “{config.transfer.weights}” does not fit {config.network} with "
            f"{config.arguments or 'its defaults'}: {start.sentence}. Take the weights of this network, or the network of "
            "these weights."
        )
    if wrong := [name for name, value in taken.items() if not torch.isfinite(value).all()]:
        raise ConfigError(
            f"transfer.weights = “{config.transfer.weights}”: {wrong[0]} holds values that are no numbers."
        )


@dataclass(frozen=True)
class LoadedPart:
    """What a network was given: all but its head and what the file did not hold.

    Attributes:
        parameters: they stay as they are while the head learns alone, and have a learning rate of their own.
        norms: batch norms among it, with `parameters` that never learn if `freeze_norms`.
    """

    parameters: tuple[nn.Parameter, ...] = ()
    norms: tuple[nn.Module, ...] = ()
    freeze_norms: bool = False

    @classmethod
    def of(cls, model: nn.Module, config: TrainConfig, start: Start) -> LoadedPart:
        """The part of a network that its start filled."""
        outside = f"{head_of(config.network, model)}."
        fresh = {*start.missing, *start.reshaped, *start.skipped}
        named = [
            (name, value)
            for name, value in model.named_parameters()
            if not name.startswith(outside) and name not in fresh
        ]
        norms = [
            module
            for name, module in model.named_modules()
            if isinstance(module, nn.modules.batchnorm._BatchNorm)
            and not name.startswith(outside)
            and f"{name}.running_mean" not in fresh
        ]
        return cls(tuple(value for _, value in named), tuple(norms), config.transfer.freeze_norms)

    def hold(self, frozen: bool) -> None:
        """Let the part learn in the next step, or not."""
        for parameter in self.parameters:
            parameter.requires_grad_(not frozen)
        if self.freeze_norms:
            for norm in self.norms:
                norm.requires_grad_(False)

    def hold_norms(self) -> None:
        """Keep the norms' statistics, if they are to be kept, in a network that was just put into training mode."""
        if self.freeze_norms:
            for norm in self.norms:
                norm.eval()
