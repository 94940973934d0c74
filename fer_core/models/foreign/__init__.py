"""Networks of other programs as modules of this one: one file a format, which opens what its files hold.

The file itself lies in the checkpoint's weights, as a tensor of bytes, and the card's arguments say how it is asked. So a
foreign network has a digest, is copied, promoted and put into an ensemble as any other, and nothing has to find a second file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from fer_core.errors import CheckpointError
from fer_core.images import ImageSpec
from fer_core.models import Network, family
from fer_core.registry import Registry

Answers = Literal["logits", "probabilities"]
Takes = Literal["normalised", "pixels"]
Layout = Literal["nchw", "nhwc", "nhw"]
LEAST = 1e-12  # probability below which an answer is not told from impossible
LARGEST = 2**31  # bytes of a file


@dataclass(frozen=True)
class Opened:
    """What a file holds.

    Attributes:
        network: inputs as the file takes them -> its answers (N, K); a tuple or a dictionary of them where it gives several.
        shape: of its input, None where the file leaves a side open; empty where the file does not say.
        gradients: whether the answers can be differentiated with respect to the input.
        why: why they cannot, in a sentence's part.
        takes, answers: where the file itself says so.
        card: what the file tells of itself in FERscope's own words (an ONNX file that FERscope exported), by field.
    """

    network: nn.Module
    shape: tuple[int | None, ...] = ()
    gradients: bool = True
    why: str = ""
    takes: Takes = "normalised"
    answers: Answers | None = None
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def layout(self) -> Layout:
        """Where the colours stand: after the pixels if the last side is 1 or 3 and the second is neither."""
        if len(self.shape) == 3:
            return "nhw"
        last = len(self.shape) == 4 and self.shape[3] in (1, 3) and self.shape[1] not in (1, 3)
        return "nhwc" if last else "nchw"

    @property
    def size(self) -> tuple[int | None, int | None, int | None]:
        """(channels, height, width), each None where it is left open."""
        if len(self.shape) == 3:
            return 1, self.shape[1], self.shape[2]
        if len(self.shape) != 4:
            return None, None, None
        _, a, b, c = self.shape
        return (c, a, b) if self.layout == "nhwc" else (a, b, c)


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        title: for people.
        knows: whether a file's content is of this kind.
        open: content, and whether gradients are wanted -> what it holds; raises `CheckpointError` for what it cannot open.
    """

    title: str
    knows: Callable[[bytes], bool]
    open: Callable[[bytes, bool], Opened]


FORMATS: Registry[Format] = Registry("format of networks", __name__)


class Foreign(nn.Module):
    """A network of another program: normalised images (N, C, H, W) -> logits (N, K).

    Attributes:
        network: what the file holds; there once the weights are loaded.
        differentiable: whether gradients go through it; `why_not` says why not.
        layers: dotted name of the layer that a Grad-CAM looks at, if it has one with maps.
    """

    foldable = False  # what a file holds stays as it is

    def __init__(
        self, kind: str, classes: int, spec: ImageSpec, size: int, answers: Answers, takes: Takes, layout: Layout,
        bgr: bool, batch: int, output: int, factor: float, gradients: bool, layer: str,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kind, self.classes, self.answers, self.takes, self.layout = kind, classes, answers, takes, layout
        self.bgr, self.batch, self.output, self.factor, self.gradients = bgr, batch, output, factor, gradients
        self.layers = (layer,) if layer else ()
        self.differentiable, self.why_not = gradients, ""
        self.register_buffer("file", torch.zeros(size, dtype=torch.uint8))
        for name, values in (("mean", spec.mean), ("std", spec.std)):
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1), persistent=False)
        self.register_load_state_dict_post_hook(_open)  # type: ignore[no-untyped-call]

    def open(self) -> None:
        """Open the file that the weights hold.

        Raises:
            CheckpointError: it cannot be opened here.
        """
        opened = FORMATS.get(self.kind).open(self.get_buffer("file").numpy().tobytes(), self.gradients)
        self.network, self.differentiable, self.why_not = opened.network.eval(), opened.gradients, opened.why
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.takes == "pixels":
            images = (images * self.get_buffer("std") + self.get_buffer("mean")) * 255
        if self.bgr:
            images = images.flip(1)
        if self.layout == "nhwc":
            images = images.permute(0, 2, 3, 1)
        elif self.layout == "nhw":
            images = images[:, 0]
        parts = [self._asked(part) for part in (torch.split(images, self.batch) if self.batch else [images])]
        answers = torch.cat(parts) if len(parts) > 1 else parts[0]
        if answers.shape[1] != self.classes:
            raise CheckpointError(
                f"The network gives {answers.shape[1]} values for {self.classes} expressions; name as many as it has outputs."
            )
        if self.answers == "probabilities":
            answers = answers.clamp(min=LEAST).log()
        return answers * self.factor

    def _asked(self, images: torch.Tensor) -> torch.Tensor:
        """(n, K) values of a part that is no larger than the batch that the file was made for."""
        short = self.batch - len(images) if self.batch else 0
        if short:
            images = torch.cat([images, images[-1:].expand(short, *images.shape[1:])])
        found = values_of(self.network(images), self.output)
        return found[: len(found) - short]


def _open(module: nn.Module, keys: Any) -> None:
    if isinstance(module, Foreign) and len(module.get_buffer("file")):
        module.open()


def values_of(found: Any, output: int = 0) -> torch.Tensor:
    """(n, K) float values of what a network gives: a tensor, or the one with this number of a tuple or dictionary.

    Raises:
        CheckpointError: it gives no table of numbers.
    """
    if isinstance(found, dict):
        found = list(found.values())
    if not isinstance(found, list | tuple):
        found = [found]
    if isinstance(found, list | tuple):
        if output >= len(found):
            raise CheckpointError(
                f"The network has {len(found)} outputs, numbered from 0; there is no output {output}."
            )
        found = found[output]
    if not isinstance(found, torch.Tensor) or found.ndim < 2:
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise CheckpointError(
            f"The network gives {shape} for a batch of images; expected a value an image and expression."
        )
    return found.flatten(1).float()


@family("file")
def file(kind: str) -> Network:
    """The network of a file of some kind, “file:onnx”."""
    title = FORMATS.get(kind).title

    def build(
        *, classes: int, spec: ImageSpec, size: int = 0, answers: Answers = "logits", takes: Takes = "normalised",
        layout: Layout = "nchw", bgr: bool = False, batch: int = 0, output: int = 0, factor: float = 1.0,
        gradients: bool = True, layer: str = "",
    ) -> nn.Module:  # fmt: skip
        """
        Args:
            size: bytes of the file, at most `LARGEST`.
            answers: what the file gives.
            takes: “normalised” as the spec says, or “pixels” on the scale 0..255.
            bgr: it takes blue before green before red.
            batch: images that it takes at once; 0 for any number.
            output: which of several outputs, from 0.
            factor: by which its logits are multiplied.
            gradients: it is differentiable, or converted to a network that is.
            layer: dotted name of the layer for Grad-CAM; empty: none has maps.
        """
        if not 0 <= size <= LARGEST:
            raise ValueError(f"size = {size}: expected 0 to {LARGEST} bytes")
        return Foreign(
            kind, classes, spec, size, answers, takes, layout, bgr, batch, output, factor, gradients, layer
        )  # fmt: skip

    return Network(f"file:{kind}", title, build, ImageSpec(), "layers", "imported", head=None)
