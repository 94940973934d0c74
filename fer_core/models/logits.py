"""Logits of images that already have the network's size: one view, or averaged over test-time augmentation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fer_core.images import ImageSpec, normalise, to_tensor
from fer_core.models.batching import at_once

if TYPE_CHECKING:
    import torch
    from torch import nn


CROP = 0.875  # share of the side that a crop of “ten-crop” shows
IF_CLOSE = "ten-crop-if-close"
CLOSE = 0.5  # the second expression is at least so probable as a share of the first where an answer is close
CLOSE_SHARE = 0.19  # of FER2013's validation images are, for `fer2013-best`


def predict_logits(
    model: nn.Module, images: NDArray[np.uint8], spec: ImageSpec, *, tta: str = "none"
) -> NDArray[np.float32]:
    """Logits (N, K) of images already at the network's size.

    Args:
        model: a copy of it that is made ready to answer (`ready`) does the work; it stays as it is.
        images: (N, H, W) or (N, H, W, 3) uint8, memory-mapped or not; only a batch at a time is taken into memory.
        tta: “flip” averages the logits of each image and its mirror image, “ten-crop” of five crops and theirs;
            “ten-crop-if-close” takes ten crops of the images alone that “flip” leaves `close`.
    """
    parts = list(logit_batches(model, images, spec, tta=tta))
    return np.concatenate(parts)


def logit_batches(
    model: nn.Module, images: NDArray[np.uint8], spec: ImageSpec, *, tta: str
) -> Iterator[NDArray[np.float32]]:
    """The same as batches, for showing progress."""
    import torch

    from fer_core.models.ready import ready

    device = next((p.device for p in model.parameters()), "cpu")  # one that onnxruntime runs has none
    network = ready(model, spec.shape)
    # Without gradients a layer's maps are soon gone, so that twice as many fit; all views of an image go in one pass.
    batch = max(1, 2 * at_once(spec.height, spec.width, device) // len(views(tta, spec.height, spec.width)))
    for start in range(0, len(images), batch):
        with torch.inference_mode():
            inputs = normalise(to_tensor(images[start : start + batch], device), spec)
            logits = logits_with(network, inputs, tta)
        yield logits.float().cpu().numpy()


def logits_with(model: nn.Module, inputs: torch.Tensor, tta: str) -> torch.Tensor:
    """Logits (N, K) of normalised inputs (N, C, H, W), averaged over the views that test-time augmentation takes."""
    import torch

    if tta == IF_CLOSE:
        logits = logits_with(model, inputs, "flip")
        doubtful = close(logits)
        if torch.onnx.is_in_onnx_export():  # an ONNX file has no branches by image: it takes as long as ten crops
            return torch.where(doubtful[:, None], logits_with(model, inputs, "ten-crop"), logits)
        if doubtful.any():
            logits[doubtful] = logits_with(model, inputs[doubtful], "ten-crop")
        return logits
    height, width = (int(side) for side in inputs.shape[2:])  # numbers also while ONNX is traced
    seen = views(tta, height, width)
    logits = model(torch.cat([view.of(inputs) for view in seen]))
    mean: torch.Tensor = logits.reshape(len(seen), -1, logits.shape[1]).mean(dim=0)
    return mean


def close(logits: torch.Tensor) -> torch.Tensor:
    """(N,) bool of logits (N, K): whether the second expression is at least `CLOSE` times as probable as the first."""
    first, second = logits.topk(2, dim=1).values.unbind(dim=1)
    return second - first >= math.log(CLOSE)


@dataclass(frozen=True)
class View:
    """One of the views of an image that test-time augmentation shows to a network: a crop, mirrored or not.

    Attributes:
        size: (H, W) of the image, to which the crop is enlarged.
        top, left, height, width: the crop in pixels of the image.
    """

    size: tuple[int, int]
    top: int
    left: int
    height: int
    width: int
    mirrored: bool

    @property
    def whole(self) -> bool:
        return (self.height, self.width) == self.size

    def of(self, inputs: torch.Tensor) -> torch.Tensor:
        """The view (N, C, H, W) of inputs (N, C, H, W)."""
        import torch.nn.functional as F

        seen = inputs
        if not self.whole:
            crop = inputs[:, :, self.top : self.top + self.height, self.left : self.left + self.width]
            seen = F.interpolate(crop, size=self.size, mode="bilinear", align_corners=False)
        return seen.flip(3) if self.mirrored else seen

    def back(self, maps: torch.Tensor, *, sums: bool) -> torch.Tensor:
        """Maps (N, H, W) of the view at their places in the image, (N, H, W); zero outside the crop.

        Args:
            sums: keep a map's sum, by the transpose of the enlargement, as gradients and shares need it; otherwise keep
                its level.
        """
        import torch
        import torch.nn.functional as F

        back = maps.flip(2) if self.mirrored else maps
        if self.whole:
            return back
        rows, columns = (
            F.interpolate(
                torch.eye(small, dtype=maps.dtype, device=maps.device)[None, None],
                size=(large, small),
                mode="bilinear",
                align_corners=False,
            )[0, 0]
            for small, large in ((self.height, self.size[0]), (self.width, self.size[1]))
        )
        if not sums:
            rows, columns = rows / rows.sum(dim=0), columns / columns.sum(dim=0)
        edges = (self.left, self.size[1] - self.left - self.width, self.top, self.size[0] - self.top - self.height)
        return F.pad(rows.T @ back @ columns, edges)


def views(tta: str, height: int, width: int) -> list[View]:
    """The views of images of height x width pixels that test-time augmentation averages over.

    “flip” adds the mirror image; “ten-crop” takes the corners and the centre, `CROP` of the side each, enlarged to the
    network's size, and their mirror images (Krizhevsky et al. 2012, section 4.1). Of “ten-crop-if-close” these are the
    views that every image gets.
    """
    crops = [(0, 0, height, width)]
    if tta == "ten-crop":
        tall, wide = round(CROP * height), round(CROP * width)
        places = [(0, 0), (0, width - wide), (height - tall, 0), (height - tall, width - wide)]
        crops = [(*place, tall, wide) for place in [*places, ((height - tall) // 2, (width - wide) // 2)]]
    mirrors = (False,) if tta == "none" else (False, True)
    return [View((height, width), *crop, mirrored) for crop in crops for mirrored in mirrors]


def penultimate(model: nn.Module, images: NDArray[np.uint8], spec: ImageSpec) -> NDArray[np.float32]:
    """What the last layer with weights is given, (N, F): the features of images (N, H, W[, 3]) at the network's size.

    A map is averaged over its places. The work is done on a copy, so no hook is left on a network that serves others.
    """
    import copy

    from torch import nn

    network = copy.deepcopy(model).eval()
    seen: list[torch.Tensor] = []

    def keep(_layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        seen[:] = [inputs[0].mean(dim=(2, 3)) if inputs[0].ndim == 4 else inputs[0].flatten(1)]

    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            layer.register_forward_pre_hook(keep)  # the last that runs has the last word
    parts = []
    for _ in logit_batches(network, images, spec, tta="none"):
        parts.append(seen[0].float().cpu().numpy())
    return np.concatenate(parts)
