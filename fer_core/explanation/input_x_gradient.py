"""Input x gradient: each pixel's part of the score, to the first order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer_core.explanation import Parameters, Question, method

if TYPE_CHECKING:
    import torch

PAPER = "Shrikumar, Greenside, Shcherbina and Kundaje 2016, Not Just a Black Box, arXiv 1605.01713"


@method("input-x-gradient", title="Input x gradient", paper=PAPER, signed=True, claims="shares")
def input_x_gradient(question: Question, parameters: Parameters) -> torch.Tensor:
    """x dS/dx, summed over the channels; x is the normalised input, so grey of the mean counts nothing."""
    from captum.attr import InputXGradient  # three seconds to import

    return question.slopes(InputXGradient(question.score)).sum(dim=1)
