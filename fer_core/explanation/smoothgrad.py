"""SmoothGrad: saliency with the gradient averaged over noisy copies of the image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from fer_core.explanation import Parameters, Question, method

if TYPE_CHECKING:
    import torch

PAPER = "Smilkov et al. 2017, SmoothGrad: removing noise by adding noise, arXiv 1706.03825"


class Noise(Parameters):
    noise: float = Field(
        0.05, ge=0, le=1, description="Deviation, as a part of the image's range; more needs more draws."
    )
    seed: int = Field(0, ge=0, description="Seed of the noise.")


class Smoothing(Noise):
    copies: int = Field(
        400, ge=2, le=5000, description="Noisy copies of each image; with few of them, two seeds differ."
    )


@method("smoothgrad", title="SmoothGrad", paper=PAPER, signed=False, claims="sensitivity", parameters=Smoothing)
def smoothgrad(question: Question, parameters: Smoothing) -> tuple[torch.Tensor, torch.Tensor]:
    """|1/n sum dS/dx(x + e)|, e normal with deviation noise (max x - min x), the largest over the channels.

    The paper advises 10 to 20 % of noise and 50 copies for images of 224 pixels. On 48 pixels two seeds then agree by a rank
    correlation of 0.3 only. The default, 5 % and 400 copies in pairs of opposite noise, brings 0.9; the standard error over
    the draws comes with the map.
    """
    total, squares, count = noisy_sums(question, parameters, lambda pair: pair.mean(dim=2))
    mean = total / count
    error = (squares / count - mean**2).clamp(min=0).div(max(1, count - 1)).sqrt()
    size, channel = mean.abs().max(dim=1)
    return size, error.gather(1, channel[:, None])[:, 0]


def noisy_sums(
    question: Question, parameters: Smoothing, of_pair: Callable[[torch.Tensor], torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Sum and sum of squares, each (N, C, H, W), and number, of what is made of pairs of noisy gradients.

    Args:
        of_pair: gradients (N, pairs, 2, C, H, W) at x + e and x - e -> (N, pairs, C, H, W).
    """
    import torch

    total, squares = torch.zeros_like(question.inputs), torch.zeros_like(question.inputs)
    count = 0
    for gradient in noisy_gradients(question, parameters):
        value = of_pair(gradient.reshape(len(gradient), -1, 2, *gradient.shape[2:]))
        total += value.sum(dim=1)
        squares += (value**2).sum(dim=1)
        count += value.shape[1]
    return total, squares, count


def noisy_gradients(question: Question, parameters: Smoothing) -> Iterator[torch.Tensor]:
    """dS/dx of noisy copies in pairs of opposite noise, (N, copies of this part, C, H, W).

    Captum's NoiseTunnel draws from torch's global random state and for the batch as a whole. Here each image gets the
    same seeded noise, so a map does not depend on other images or earlier calls. The views of an image share the copies
    among them.
    """
    import torch

    inputs = question.inputs
    noise = paired(question.draws(parameters.copies, parameters.seed))  # (views, copies of one, C, H, W)
    spread = parameters.noise * (inputs.amax(dim=(1, 2, 3)) - inputs.amin(dim=(1, 2, 3)))
    each = len(inputs) // question.views
    for part in torch.split(noise, 2 * max(1, question.at_once // (2 * len(inputs))), dim=1):
        own = part.repeat_interleave(each, dim=0)
        copies = (inputs[:, None] + spread.view(-1, 1, 1, 1, 1) * own).flatten(0, 1)
        classes = tuple(c.repeat_interleave(part.shape[1]) for c in question.classes)
        yield gradients_at(question, copies, classes).reshape(len(inputs), part.shape[1], *inputs.shape[1:])


def gradients_at(question: Question, inputs: torch.Tensor, classes: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """dS/dx at inputs (N, C, H, W), any number of them, in passes of `at_once`."""
    import torch
    from captum.attr import Saliency  # three seconds to import

    size, saliency = question.at_once, Saliency(question.score)
    return torch.cat(
        [
            saliency.attribute(
                inputs[at : at + size].detach().requires_grad_(),
                abs=False,
                additional_forward_args=tuple(c[at : at + size] for c in classes),
            )
            for at in range(0, len(inputs), size)
        ]
    )


def paired(noise: torch.Tensor) -> torch.Tensor:
    """Noise (views, n, ...), n even: each second draw is the one before with the other sign, so that odd parts cancel."""
    import torch

    half = noise[:, ::2]
    return torch.stack([half, -half], dim=2).flatten(1, 2)
