"""Occlusion: how much the score falls when a patch is covered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from fer_core.errors import ConfigError
from fer_core.explanation import Parameters, Question, method

if TYPE_CHECKING:
    import torch

PAPER = "Zeiler and Fergus 2014, Visualizing and Understanding Convolutional Networks, arXiv 1311.2901"


class Patch(Parameters):
    window: int = Field(8, ge=1, description="Side of the covering square, in pixels.")
    stride: int = Field(4, ge=1, description="Pixels from one square to the next.")

    @model_validator(mode="after")
    def _no_gaps(self) -> Patch:
        if self.stride > self.window:
            raise ValueError(f"a stride of {self.stride} leaves gaps between squares of {self.window} pixels")
        return self


@method("occlusion", title="Occlusion", paper=PAPER, signed=True, claims="shares", parameters=Patch, gradients=False)
def occlusion(question: Question, parameters: Patch) -> torch.Tensor:
    """S(x) - S(x with the square in the mean grey), averaged over the squares that cover a pixel."""
    from captum.attr import Occlusion  # three seconds to import

    pictures, channels, height, width = question.inputs.shape
    if parameters.window > min(height, width):
        raise ConfigError(f"A window of {parameters.window} pixels is larger than the image of {height} x {width}.")
    fall: torch.Tensor = Occlusion(question.score).attribute(
        question.inputs,
        sliding_window_shapes=(channels, parameters.window, parameters.window),
        strides=(channels, parameters.stride, parameters.stride),
        additional_forward_args=question.classes,
        perturbations_per_eval=max(1, question.at_once // pictures),
    )
    return fall[:, 0]  # all channels are covered at once, so each holds the same
