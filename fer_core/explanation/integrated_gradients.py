"""Integrated gradients: shares of the score's rise from the mean grey to the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from fer_core.explanation import Parameters, Question, method

if TYPE_CHECKING:
    import torch

PAPER = "Sundararajan, Taly and Yan 2017, Axiomatic Attribution for Deep Networks, arXiv 1703.01365"


class Path(Parameters):
    steps: int = Field(32, ge=2, le=500, description="Points on the path from the baseline to the image.")


@method(
    "integrated-gradients", title="Integrated gradients", paper=PAPER, signed=True, claims="shares", parameters=Path
)
def integrated_gradients(question: Question, parameters: Path) -> torch.Tensor:
    """x times the mean of dS/dx on the straight path from 0 to x (equation 1), summed over the channels.

    The baseline 0 of the normalised input is an image of the mean grey. The map's sum is S(x) - S(0) but for the
    error of the Gauss-Legendre quadrature.
    """
    from captum.attr import IntegratedGradients  # three seconds to import

    shares: torch.Tensor = IntegratedGradients(question.score).attribute(
        question.inputs,
        additional_forward_args=question.classes,
        n_steps=parameters.steps,
        internal_batch_size=max(question.at_once, len(question.inputs)),
    )
    return shares.sum(dim=1)
