"""Faithfulness of maps: how the prediction changes when the pixels that a map marks are removed.

Every figure is computed per image, so means over images have intervals and methods can be compared in pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fer_core.evaluation.intervals import SEED
from fer_core.explanation import METHODS, Claim, Method, Question, replica, score_of, settings_of
from fer_core.images import ImageSpec, normalise, to_tensor

if TYPE_CHECKING:
    import torch
    from torch import nn

STEPS = 8  # parts in which pixels are taken away or put back

Maps = NDArray[np.float32]
Figures = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Explained:
    """The images whose maps are judged.

    Attributes:
        images: (N, H, W) or (N, H, W, 3) uint8 at the network's size.
        targets: (N) the explained expressions, as indices of the network's outputs.
    """

    model: nn.Module
    images: NDArray[np.uint8]
    spec: ImageSpec
    targets: Sequence[int]

    def first(self, count: int) -> Explained:
        """The same for the first `count` images."""
        return replace(self, images=self.images[:count], targets=self.targets[:count])


class Curves:
    """Deletion and insertion: mean probability of the target while pixels are removed, or added, in the order of a map
    (Petsiuk et al. 2018).

    Deletion sets pixels to the image's mean, insertion starts from the image blurred (deviation of an eighth of the
    height). Pixels that speak most for the target are first; of equal ones a seeded order decides. One object serves many
    maps of the same images: what they share is computed once.
    """

    def __init__(self, explained: Explained, steps: int = STEPS) -> None:
        import cv2

        self._model, self._spec, self._steps = explained.model, explained.spec, steps
        self._images, self._targets = np.asarray(explained.images), np.asarray(explained.targets, dtype=np.int64)
        self._means = np.empty_like(self._images)
        self._blurred = np.empty_like(self._images)
        for row, image in enumerate(self._images):
            self._means[row] = np.rint(image.mean(axis=(0, 1))).astype(np.uint8)
            self._blurred[row] = cv2.GaussianBlur(image, (0, 0), self._spec.height / 8, borderType=cv2.BORDER_REPLICATE)
        self._ends = [self._probs(part[:, None])[:, 0] for part in (self._images, self._means, self._blurred)]

    def of(self, maps: Maps) -> tuple[Figures, Figures]:
        """(N) deletion, the lower the better, and (N) insertion, the higher the better, both 0..1, of maps (N, H, W)."""
        pixels, steps = maps[0].size if len(maps) else 1, self._steps
        tie = np.random.default_rng(SEED).random(pixels)
        ends = np.linspace(0, pixels, steps + 1).round().astype(int)[1:-1]
        series = np.empty((len(maps), 2, steps - 1, *self._images.shape[1:]), np.uint8)
        for row, (image, one) in enumerate(zip(self._images, maps, strict=True)):
            order = np.lexsort((tie, -one.ravel().astype(np.float64)))
            rank = np.empty(pixels, dtype=np.int64)
            rank[order] = np.arange(pixels)
            taken = rank.reshape(one.shape)[None] < ends[:, None, None]
            taken = taken if image.ndim == 2 else taken[..., None]
            series[row, 0] = np.where(taken, self._means[row], image)
            series[row, 1] = np.where(taken, image, self._blurred[row])
        probs = self._probs(series.reshape(len(maps), -1, *self._images.shape[1:])).reshape(len(maps), 2, steps - 1)
        whole, mean, blurred = self._ends
        found = [
            np.trapezoid(np.column_stack([first, inner, last]), dx=1 / steps, axis=1)
            for first, inner, last in ((whole, probs[:, 0], mean), (blurred, probs[:, 1], whole))
        ]
        return np.asarray(found[0]), np.asarray(found[1])

    def _probs(self, series: NDArray[np.uint8]) -> Figures:
        """(N, S) probability of each image's target for S versions of it, (N, S, H, W[, 3])."""
        from fer_core.models.logits import predict_logits

        count = series.shape[1]
        if not len(series):
            return np.empty((0, count))
        logits = predict_logits(self._model, series.reshape(-1, *series.shape[2:]), self._spec).astype(np.float64)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        target = self._targets.repeat(count)
        probs: Figures = (odds[np.arange(len(odds)), target] / odds.sum(axis=1)).reshape(-1, count)
        return probs


# -------------------------------------------------------------------------------------------------------- infidelity


class Perturbations:
    """Infidelity: how badly a map's values predict changes of the score (Yeh et al. 2019, arXiv 1901.09392). Shares are
    tested with squares that are taken away (set to the mean grey; the paper's square removal): the sum of a square's shares
    predicts the fall of the score. The squares have one size, and predicted and real falls are compared after subtracting
    their means over the squares. Otherwise any positive map would score well just because more is lost when more is
    removed; a random map beat integrated gradients. A sensitivity is tested with noise of standard deviation 0.02: its
    product with the noise predicts the fall. Maps that only show places are not tested, because their values predict
    nothing. All maps of the same images get the same seeded changes, whose falls are computed once.
    """

    def __init__(self, explained: Explained, draws: int = 32) -> None:
        import torch

        model, images, spec, targets = explained.model, explained.images, explained.spec, explained.targets
        network = replica(model)
        score = score_of(network)
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
        random = np.random.default_rng(SEED)
        self._changes: dict[str, NDArray[np.float64]] = {
            "shares": squares(draws, spec, random)[:, None],
            "sensitivity": 0.02 * random.standard_normal((draws, *spec.shape)),
        }
        self._falls = {kind: np.empty((len(images), draws)) for kind in self._changes}
        with torch.no_grad():
            for row in range(len(images)):
                inputs = normalise(to_tensor(images[row : row + 1], device), spec)
                for kind, changes in self._changes.items():
                    given = torch.from_numpy(changes.astype(np.float32)).to(device)
                    changed = inputs * (1 - given) if kind == "shares" else inputs - given
                    classes = torch.tensor([int(targets[row])], device=device)
                    before = score(inputs, classes)
                    after = torch.cat([score(part, classes.expand(len(part))) for part in torch.split(changed, 16)])
                    self._falls[kind][row] = (before - after).double().cpu().numpy()

    def infidelity(self, maps: Maps, claims: Claim, signed: bool) -> Figures | None:
        """(N) mean square of what the maps (N, H, W) predict wrongly, as a part of the falls' variance: 0 the best.

        Each map is scaled to predict best (the paper's optimal scaling factor, here not below 0), so that methods of
        different units are comparable; a map that predicts nothing, or the contrary, has 1. None for maps to which
        infidelity does not apply: those that only show places, and gradient magnitudes, which have no sign.
        """
        if claims == "place" or (claims == "sensitivity" and not signed):
            return None
        changes = self._changes[claims].mean(axis=1)  # a map's pixel stands for all its channels
        told = np.einsum("nhw,dhw->nd", maps.astype(np.float64), changes)
        rounding = 1e-20 * (told**2).sum(axis=1)  # what an even map tells is the same for all squares
        told, falls = (part - part.mean(axis=1, keepdims=True) for part in (told, self._falls[claims]))
        size, own = (falls**2).sum(axis=1), (told**2).sum(axis=1)
        fit = np.maximum((told * falls).sum(axis=1), 0)
        caught = np.divide(fit**2, own * size, out=np.zeros_like(fit), where=(own > rounding) & (size > 0))
        found: Figures = np.where(size > 0, 1 - caught, 0.0)
        return found


def squares(count: int, spec: ImageSpec, random: np.random.Generator) -> NDArray[np.float64]:
    """(count, H, W): 1 in a square with a quarter of the height as its side at a random place, else 0."""
    masks = np.zeros((count, spec.height, spec.width))
    for mask in masks:
        side = max(1, min(spec.height, spec.width) // 4)
        top, left = (int(random.integers(0, whole - side + 1)) for whole in (spec.height, spec.width))
        mask[top : top + side, left : left + side] = 1
    return masks


# ------------------------------------------------------------------------------------------------------- sensitivity


def max_sensitivity(
    explained: Explained, method: str | Method, layer: str | None = None, draws: int = 3, **parameters: Any
) -> Figures:
    """(N) the largest relative change of the map under invisible noise (Yeh et al. 2019), 0 the best.

    Uniform noise of up to 0.02 in the normalised input, the same seeded draws for every image. A method that draws
    itself gets another seed for each copy: with the same one its own noise would not show.
    """
    import torch
    from captum.metrics import sensitivity_max

    how = METHODS.get(method) if isinstance(method, str) else method
    settings = settings_of(how, parameters)
    model, images, spec, targets = explained.model, explained.images, explained.spec, explained.targets
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    found = np.empty(len(images))
    with torch.inference_mode(False), torch.enable_grad():
        for row in range(len(images)):
            inputs = normalise(to_tensor(images[row : row + 1], device), spec)
            generator = torch.Generator().manual_seed(SEED)
            noise = (0.04 * torch.rand(draws, *inputs.shape[1:], generator=generator) - 0.02).to(device)
            target = torch.tensor([int(targets[row])], device=device)

            def one_map(image: torch.Tensor, copy: int, target: torch.Tensor = target) -> torch.Tensor:
                seed = {"seed": settings.seed + copy} if hasattr(settings, "seed") else {}
                network = replica(model)
                question = Question(network, spec, score_of(network), image[None].detach(), (target,), layer)
                with torch.enable_grad():  # Captum measures without
                    answer = how.attribute(question, settings.model_copy(update=seed))
                return (answer[0] if isinstance(answer, tuple) else answer).detach().float()[:, None]

            def maps_of(given: torch.Tensor | tuple[torch.Tensor]) -> torch.Tensor:
                if isinstance(given, tuple):  # Captum gives the image so, its copies bare
                    return one_map(given[0][0], 0)
                return torch.cat([one_map(image, copy) for copy, image in enumerate(given, 1)])

            value = sensitivity_max(
                maps_of,
                inputs,
                perturb_func=lambda repeated, radius, noise=noise: repeated + noise[: len(repeated)],
                n_perturb_samples=draws,
                max_examples_per_batch=draws,
            )
            found[row] = float(value[0])
    return found


# --------------------------------------------------------------------------------------------------- likeness of maps


def rank_correlation(one: Maps, other: Maps, *, signed: bool = False) -> Figures:
    """(N) Spearman's correlation of the maps' absolute values, or of their signed values, -1..1; 0 where one is constant."""
    from scipy.stats import rankdata

    size = (lambda maps: maps) if signed else np.abs
    left, right = (rankdata(size(maps.reshape(len(maps), -1)), axis=1) for maps in (one, other))
    left, right = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (left, right))
    size = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
    return np.asarray(np.divide((left * right).sum(axis=1), size, out=np.zeros(len(one)), where=size > 0))


# ------------------------------------------------------------------------------------------------------ known pixels


def pointing(maps: Maps, masks: NDArray[np.bool_]) -> Figures:
    """(N) 1 where the map's largest value lies in the mask, else 0 (Zhang et al. 2016, arXiv 1608.00507).

    Of equal values each counts by its part, so a constant map has the mask's share of the image.
    """
    best = maps == maps.max(axis=(1, 2), keepdims=True)
    found: Figures = (best & masks).sum(axis=(1, 2)) / best.sum(axis=(1, 2))
    return found


def mass(maps: Maps, masks: NDArray[np.bool_]) -> Figures:
    """(N) part of what speaks for the target that lies in the mask, 0..1; a map without any has the mask's area."""
    speaks = np.maximum(maps.astype(np.float64), 0)
    total = speaks.sum(axis=(1, 2))
    inside = (speaks * masks).sum(axis=(1, 2))
    return np.asarray(np.divide(inside, total, out=masks.mean(axis=(1, 2)), where=total > 0))
