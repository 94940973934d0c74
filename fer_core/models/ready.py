"""A network made ready to answer: the same logits, sooner (docs/design/0022-the-fast-path.md)."""

from __future__ import annotations

import copy
from collections import Counter
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

TOLERANCE = 1e-5  # of logits, or of the largest logit where that is above 1; folding rounds by a tenth of it

# What `ready` made of a network, and the state of the weights that it was made of.
_made: WeakKeyDictionary[nn.Module, tuple[tuple[tuple[int, int], ...], nn.Module]] = WeakKeyDictionary()


def ready(model: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """A copy in evaluation mode that answers sooner; its logits differ by `TOLERANCE` at most.

    Batch norms are folded into the convolutions before them, and on a processor the weights are laid out channels last.
    Layers keep their names, and hooks are copied. The copy is kept, and made anew once the weights have changed.

    Args:
        shape: (channels, height, width) of what the network takes.
    """
    if not getattr(model, "foldable", True):
        return model
    state = tuple(
        (tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version)
        for tensor in (*model.parameters(), *model.buffers())
    )
    known = _made.get(model)
    if known is None or known[0] != state:
        known = _made[model] = (state, _faster(model, shape))
    return known[1]


@torch.no_grad()
def _faster(model: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    plain = copy.deepcopy(model).eval().requires_grad_(False)
    device = next(plain.parameters()).device
    # Two noisy images, to see which layer gives to which, and at last whether the answer is the same.
    probe = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0)).to(device)
    folded = copy.deepcopy(plain)
    for convolution, norm in _pairs(folded, probe):
        one, other = folded.get_submodule(convolution), folded.get_submodule(norm)
        assert isinstance(one, nn.Conv2d)
        assert isinstance(other, nn.BatchNorm2d)
        folded.set_submodule(convolution, fuse_conv_bn_eval(one, other))
        folded.set_submodule(norm, nn.Identity())
    wanted = plain(probe)
    # A network may use a convolution's result beside its batch norm too.
    same = torch.allclose(folded(probe), wanted, rtol=0, atol=TOLERANCE * max(1.0, float(wanted.abs().max())))
    made = folded if same else plain
    return made.to(memory_format=torch.channels_last) if device.type == "cpu" else made


def _pairs(model: nn.Module, probe: torch.Tensor) -> list[tuple[str, str]]:
    """Names of the convolutions whose result goes to a batch norm, each with the norm's name; both run once a pass."""
    kinds = (nn.Conv2d, nn.BatchNorm2d)
    watched = {name: module for name, module in model.named_modules() if type(module) in kinds}
    runs: Counter[str] = Counter()
    results: dict[str, torch.Tensor] = {}  # by the convolution; held, so that each keeps an address of its own
    found: list[tuple[str, str]] = []

    def watch(name: str, module: nn.Module, given: torch.Tensor, result: torch.Tensor) -> None:
        runs[name] += 1
        if isinstance(module, nn.Conv2d):
            results[name] = result
        elif isinstance(module, nn.BatchNorm2d) and module.track_running_stats:
            found.extend((before, name) for before, tensor in results.items() if tensor is given)

    handles = [
        module.register_forward_hook(lambda module, given, result, name=name: watch(name, module, given[0], result))
        for name, module in watched.items()
    ]
    try:
        model(probe)
    finally:
        for handle in handles:
            handle.remove()
    return [pair for pair in found if all(runs[name] == 1 for name in pair)]
