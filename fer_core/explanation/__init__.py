"""Attribution maps: which pixels a prediction rests on. One file per method, with one registered function.

A map shows which pixels of an image contribute to the logit of the target or, with `against`, to the difference from
another expression's logit. The explained network is the served one: with test-time augmentation, the map is the mean
over the same views, mapped back to the image; for an ensemble, it covers all members. Maps are not normalised one by
one: `overlay` draws them on a common scale, so weak maps look weak.

Importing this package, or looking into its registry, costs neither torch nor captum.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from fer_core.errors import ConfigError, DataError
from fer_core.images import ImageSpec, normalise, to_tensor
from fer_core.models.batching import at_once
from fer_core.models.logits import IF_CLOSE, View, close, predict_logits, views
from fer_core.registry import Registry

if TYPE_CHECKING:  # a form is drawn from a method's parameters without torch
    import torch
    from torch import nn

COARSEST = 4  # a 2 x 2 or 3 x 3 map stretched over a face shows nothing

Kind = Literal["class activation", "gradient", "perturbation"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Claim = Literal["sensitivity", "shares", "place"]


@dataclass(frozen=True, eq=False)
class Attribution:
    """Maps of one method for a batch of images.

    Attributes:
        map: (N, H, W) float32 at the images' size. Signed: positive speaks for the target; unsigned: 0 or more.
        target: (N) index of the explained expression among the network's outputs.
        against: (N) index of the expression it is held against, or None: the logit of the target alone.
        method, layer, parameters, tta: how the maps were made; enough to make them again.
        error: (N, H, W) float32 standard error of the map over its random draws; None for methods that draw nothing, or
            that do not tell.
    """

    map: NDArray[np.float32]
    target: tuple[int, ...]
    against: tuple[int, ...] | None
    method: str
    layer: str | None
    parameters: dict[str, Any]
    signed: bool
    tta: str = "none"
    error: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Question:
    """The input of a method: which pixels make `score(inputs, *classes)`?

    Attributes:
        network: a replica for this question only, in evaluation mode; a method may hook and change it as it likes.
        score: (inputs, *classes) -> (N); the target's logit, less that of the second class where there is one. It is a
            module that holds the network, for methods that change how its layers propagate.
        inputs: (N, C, H, W) float32, normalised.
        classes: one or two (N) int64 tensors, the target and what it is held against. Captum repeats them with the
            inputs when given as `additional_forward_args`.
        layer: dotted name of the layer to look at, for methods that need one; several are joined by “+”.
        views: test-time augmentation's views of an image: the inputs are those of view 0, then of view 1, ...
    """

    network: nn.Module
    spec: ImageSpec
    score: nn.Module
    inputs: torch.Tensor
    classes: tuple[torch.Tensor, ...]
    layer: str | None
    views: int = 1

    def draws(self, count: int, seed: int) -> torch.Tensor:
        """Seeded normal noise (views, n, C, H, W), n even and views x n at least `count`: all images get the same, each view its
        own, so that an image has as many draws with views as without."""
        import torch

        each = 2 * -(-count // (2 * self.views))
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(self.views, each, *self.spec.shape, generator=generator)
        return drawn.to(self.inputs.device)

    def slopes(self, captums: Any) -> torch.Tensor:
        """(N, C, H, W), what one of Captum's gradient methods, made for the score, gives the inputs."""
        with warnings.catch_warnings():  # that hooks are set and removed; the replica is thrown away anyway
            warnings.simplefilter("ignore", UserWarning)
            found: torch.Tensor = captums.attribute(self.inputs.requires_grad_(), additional_forward_args=self.classes)
        return found

    @property
    def at_once(self) -> int:
        """Images, noisy copies or covered copies in one pass through the network."""
        return at_once(self.spec.height, self.spec.width, self.inputs.device)


Attribute = Callable[[Question, Any], "torch.Tensor | tuple[torch.Tensor, torch.Tensor]"]
A = TypeVar("A", bound=Attribute)


class Parameters(BaseModel):
    """Base of a method's parameters, and the parameters of methods that have none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Method:
    """A registered attribution method.

    Attributes:
        paper: where it was published.
        signed: its maps have a sign, positive for the target and negative against it.
        needs_layer: it looks at a layer, one of `spatial_layers`.
        parameters: the pydantic model of what can be set; a form is drawn from it.
        claims: the meaning of its values, which decides how they are checked. “sensitivity”: how much the score changes
            with a pixel; “shares”: how much a pixel adds to the score, so that shares sum up; “place”: only where the
            network looks.
        suits: (network, spec) -> None, or the reason why it cannot explain this network.
        gradients: whether it needs the network's gradient; a network that is only a function has none.
        kind: what the map is made of: a layer's maps, the gradient at the pixels, or answers to changed images.
        attribute: (question, parameters) -> maps (N, H, W), or a pair of them and their standard errors over draws.
    """

    name: str
    title: str
    paper: str
    signed: bool
    needs_layer: bool
    parameters: type[Parameters]
    claims: Claim
    suits: Callable[[nn.Module, ImageSpec], str | None]
    attribute: Attribute
    gradients: bool = True
    kind: Kind = "perturbation"

    def refusal(self, model: nn.Module, spec: ImageSpec) -> str | None:
        """Why it cannot explain this network; None if it can."""
        if self.gradients and not getattr(model, "differentiable", True):
            free = ", ".join(sorted(one.title for _, one in METHODS.items() if one.kind == "perturbation"))
            why = getattr(model, "why_not", "")
            return f"it needs gradients, which do not go through the network ({why}); these need none: {free}"
        return self.suits(model, spec)


METHODS: Registry[Method] = Registry("attribution method", __name__)


def by_kind() -> dict[Kind, list[Method]]:
    """All methods by their kind, in the order of `KINDS`; within a kind by title."""
    methods = sorted((method for _, method in METHODS.items()), key=lambda method: method.title.casefold())
    return {kind: [method for method in methods if method.kind == kind] for kind in KINDS}


def suits_all(model: nn.Module, spec: ImageSpec) -> str | None:
    """For methods that only need the network's gradient or output."""
    return None


def method(
    name: str,
    *,
    title: str,
    paper: str,
    signed: bool,
    needs_layer: bool = False,
    parameters: type[Parameters] = Parameters,
    claims: Claim = "place",
    suits: Callable[[nn.Module, ImageSpec], str | None] = suits_all,
    gradients: bool = True,
    kind: Kind | None = None,
) -> Callable[[A], A]:
    """Decorator that registers a function (question, parameters) -> maps (N, H, W) as a method; see `Method`. Without a kind it
    follows from what the method needs."""
    needed: Kind = "class activation" if needs_layer else "gradient" if gradients else "perturbation"

    def add(attribute: A) -> A:
        METHODS.register(name)(
            Method(
                name, title, paper, signed, needs_layer, parameters, claims, suits, attribute, gradients, kind or needed
            )
        )
        return attribute

    return add


def explain(
    model: nn.Module,
    images: NDArray[np.uint8],
    spec: ImageSpec,
    targets: Sequence[int],
    method: str | Method,
    layer: str | None = None,
    *,
    against: Sequence[int] | None = None,
    tta: str = "none",
    **parameters: Any,
) -> Attribution:
    """Attribution maps for the logit of a target, one per image. Gradients are taken with respect to the normalised
    input.

    Several threads may explain, or predict with, one network at once: the work is done on a replica that shares
    nothing but the weights, so modes, hooks and gradient flags of `model` are never touched. Only a change of the
    weights meanwhile would show. The same call gives the same maps, however the images are batched.

    Args:
        images: (N, H, W) for one channel or (N, H, W, 3) for three, uint8, already at the network's size; any N.
        targets: (N) index of the expression to explain, one an image.
        method: a name in `METHODS`, or a method that is in no registry.
        layer: dotted name of one of `spatial_layers`, for methods that need one, or several joined by “+” as
            `attribution_layer` gives them for an ensemble; others ignore it.
        against: (N) index of a second expression: explains the difference of the two logits, why A rather than B.
        tta: test-time augmentation as `predict_logits` takes it; give the card's to explain what is served.
        parameters: what the method's parameters take.

    Returns:
        The attribution. The map of a constant image is zero: there is nothing in it to point at. So are gradients of a network
        that ignores its input.

    Raises:
        UnknownName: no such method.
        ConfigError: a target, layer or parameter that does not exist, or a method that does not suit the network.
        DataError: images of another size, or a network whose output is not finite.
    """
    import torch

    if tta == IF_CLOSE:
        return _as_close(model, images, spec, targets, method, layer, against, parameters)
    how = METHODS.get(method) if isinstance(method, str) else method
    settings = settings_of(how, parameters)
    if reason := how.refusal(model, spec):
        raise ConfigError(f"{how.title} does not suit this network: {reason}.")
    _check(images, spec, targets, against)
    network = replica(model)
    score = score_of(network)
    device = next((p.device for p in model.parameters()), "cpu")
    seen = views(tta, spec.height, spec.width)
    maps, errors = np.zeros((2, len(images), spec.height, spec.width), dtype=np.float32)
    drawn = False
    asked = [targets] if against is None else [targets, against]
    with torch.inference_mode(False), torch.enable_grad():  # also when the caller works without gradients
        size = max(1, at_once(spec.height, spec.width, device) // len(seen))
        for start in range(0, len(images), size):
            rows = slice(start, start + size)
            inputs = normalise(to_tensor(images[rows], device), spec)
            classes = tuple(
                torch.tensor([int(t) for t in indices[rows]] * len(seen), device=device) for indices in asked
            )
            shown = torch.cat([view.of(inputs) for view in seen])
            answer = how.attribute(Question(network, spec, score, shown, classes, layer, len(seen)), settings)
            found, error = answer if isinstance(answer, tuple) else (answer, None)
            maps[rows] = _over_views(found, seen, sums=how.claims != "place").numpy()
            if error is not None:  # each view has its own draws
                errors[rows] = _over_views(error, seen, sums=how.claims != "place", power=2).numpy()
                drawn = True
    if not np.isfinite(maps).all():
        raise DataError("The network's output is not finite, so its training failed; choose another checkpoint.")
    flat = images.max(axis=(1, 2)) == images.min(axis=(1, 2))  # a channel
    constant = flat.reshape(len(images), spec.channels).all(axis=1)
    maps[constant], errors[constant] = 0.0, 0.0
    return Attribution(
        map=maps,
        target=tuple(map(int, targets)),
        against=None if against is None else tuple(map(int, against)),
        method=how.name,
        layer=layer if how.needs_layer else None,
        parameters=settings.model_dump(),
        signed=how.signed,
        tta=tta,
        error=errors if drawn else None,
    )


def _as_close(
    model: nn.Module,
    images: NDArray[np.uint8],
    spec: ImageSpec,
    targets: Sequence[int],
    method: str | Method,
    layer: str | None,
    against: Sequence[int] | None,
    parameters: Mapping[str, Any],
) -> Attribution:
    """`explain` under “ten-crop-if-close”: each image over the views that its answer is the mean of."""
    import torch

    doubtful = close(torch.from_numpy(predict_logits(model, images, spec, tta="flip"))).numpy()
    parts = []
    rows = [np.flatnonzero(~doubtful).tolist(), np.flatnonzero(doubtful).tolist()]
    for some, tta in zip(rows, ("flip", "ten-crop"), strict=True):
        of_some = None if against is None else [against[i] for i in some]
        chosen = [targets[i] for i in some]
        parts.append(explain(model, images[some], spec, chosen, method, layer, against=of_some, tta=tta, **parameters))
    back = np.argsort([*rows[0], *rows[1]])
    errors = [np.zeros_like(part.map) if part.error is None else part.error for part in parts]
    return replace(
        parts[0],
        map=np.concatenate([part.map for part in parts])[back],
        target=tuple(map(int, targets)),
        against=None if against is None else tuple(map(int, against)),
        tta=IF_CLOSE,
        error=np.concatenate(errors)[back] if any(part.error is not None for part in parts) else None,
    )


def settings_of(how: Method, parameters: Mapping[str, Any]) -> Parameters:
    """The parameters of a method with these set.

    Raises:
        ConfigError: one that it does not take, or a value outside its range.
    """
    try:
        return how.parameters.model_validate(dict(parameters))
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            f"{how.title} cannot be run with {'.'.join(map(str, first['loc'])) or 'these settings'}: {first['msg']}; "
            f"it takes {', '.join(how.parameters.model_fields) or 'no parameters'}."
        ) from error


def _over_views(found: torch.Tensor, seen: Sequence[View], *, sums: bool, power: int = 1) -> torch.Tensor:
    """The mean of maps (views x N, H, W), the views one after the other, at their places in the images: (N, H, W).

    Args:
        power: 2 for standard errors, whose squares add up.
    """
    import torch

    parts = [
        view.back(part, sums=sums) for view, part in zip(seen, found.detach().float().chunk(len(seen)), strict=True)
    ]
    total: torch.Tensor = torch.stack(parts).pow(power).sum(dim=0).pow(1 / power) / len(seen)
    return total.cpu()


def spatial_layers(model: nn.Module, spec: ImageSpec, coarsest: int = COARSEST) -> dict[str, tuple[int, int]]:
    """Layers whose output is a map of at least `coarsest` x `coarsest`, or a transformer's tokens of so many places, in the
    order in which they are run.

    Returns:
        Dotted name of the layer to the (height, width) of its map. A layer that holds others comes after them.
    """
    import torch

    from fer_core.models.outputs import Grids  # brings torch

    network = replica(model)
    found: dict[str, tuple[int, int]] = {}
    grids = Grids(spec)

    def note(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_layer: nn.Module, _inputs: Any, output: Any) -> None:
            if (grid := grids.of(output)) is not None and min(grid) >= coarsest:
                found[name] = grid

        return hook

    for name, layer in network.named_modules():
        if name and not isinstance(layer, torch.jit.ScriptModule):  # which take no hooks
            layer.register_forward_hook(note(name))
    device = next((p.device for p in model.parameters()), "cpu")
    with torch.inference_mode():
        network(torch.zeros(1, *spec.shape, device=device))
    return found


def score_of(network: nn.Module) -> nn.Module:
    """The module (inputs, *classes) -> (N) of a `Question`."""
    from torch import nn

    class Score(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, inputs: torch.Tensor, *classes: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.network(inputs)
            if (highest := max(int(c.max()) for c in classes)) >= logits.shape[1]:
                raise ConfigError(
                    f"The network has {logits.shape[1]} expressions, 0 to {logits.shape[1] - 1}, found target {highest}."
                )
            picked = [logits.gather(1, c[:, None])[:, 0] for c in classes]
            score = picked[0] - picked[1] if len(picked) == 2 else picked[0]
            if inputs.requires_grad and not score.requires_grad:  # it ignores its input: the gradient is zero, not none
                score = score + 0 * inputs.flatten(1).sum(dim=1)
            return score

    return Score().eval()


def replica(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode that shares the weights' memory and nothing else, and asks for no gradient of them.

    Its activations do not work in place, which would overwrite what methods note on the way.
    """
    import torch
    from torch import nn

    shared: dict[int, Any] = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in model.parameters()}
    shared |= {id(b): b for b in model.buffers()}
    copied = copy.deepcopy(model, shared).eval()
    for layer in copied.modules():
        if hasattr(layer, "inplace") and not isinstance(layer, torch.jit.ScriptModule):  # whose constants are fixed
            layer.inplace = False  # type: ignore[assignment]
    return copied


def _check(images: NDArray[np.uint8], spec: ImageSpec, targets: Sequence[int], against: Sequence[int] | None) -> None:
    wanted = (spec.height, spec.width) if spec.channels == 1 else (spec.height, spec.width, 3)
    if images.dtype != np.uint8 or images.shape[1:] != wanted:
        raise DataError(
            f"Images to explain have to be uint8 of shape (N, {', '.join(map(str, wanted))}), found {images.dtype} "
            f"of shape {images.shape}; bring each to size with fer_core.images.fit."
        )
    for name, indices in (("targets", targets), ("against", against)):
        if indices is not None and len(indices) != len(images):
            raise ConfigError(f"{name} has {len(indices)} entries for {len(images)} images; give one for each image.")
        if indices is not None and any(index < 0 for index in indices):
            raise ConfigError(f"{name} holds {min(indices)}; the network's expressions are counted from 0.")
