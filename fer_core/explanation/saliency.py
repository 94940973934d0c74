"""Saliency: how strongly the score depends on each pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer_core.explanation import Parameters, Question, method

if TYPE_CHECKING:
    import torch

PAPER = "Simonyan, Vedaldi and Zisserman 2014, Deep Inside Convolutional Networks, arXiv 1312.6034"


@method("saliency", title="Saliency", paper=PAPER, signed=False, claims="sensitivity")
def saliency(question: Question, parameters: Parameters) -> torch.Tensor:
    """|dS/dx|, the largest over the channels (section 3.1 of the paper)."""
    from captum.attr import Saliency  # three seconds to import

    return question.slopes(Saliency(question.score)).amax(dim=1)
