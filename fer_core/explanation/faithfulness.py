"""How far a map can be trusted: measured on the network, against a random map, shuffled weights and known pixels.

Every figure is one of a picture, so that means over pictures have intervals and methods are compared in pairs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.errors import ConfigError, DataError
from fer_core.evaluation.intervals import SEED, wilson
from fer_core.explanation import METHODS, Question, explain, replica, score_of
from fer_core.explanation.bootstrap import band
from fer_core.images import ImageSpec, normalise, to_tensor

if TYPE_CHECKING:
    import torch
    from torch import nn

STEPS = 16  # parts in which pixels are taken away or put back
RANDOM, EDGES = "random map", "edges of the picture"  # controls: a good check shows both to be worth nothing
CHANGES = 0.5  # a map that keeps a higher rank correlation when the weights are shuffled does not come from them

Maps = NDArray[np.float32]
Figures = NDArray[np.float64]


def random_maps(count: int, spec: ImageSpec, seed: int = SEED) -> Maps:
    """(count, H, W) uniform in 0..1."""
    return np.random.default_rng(seed).random((count, spec.height, spec.width), dtype=np.float32)


def edge_maps(images: NDArray[np.uint8]) -> Maps:
    """(N, H, W) size of the grey gradient, Sobel's: what a map shows that has nothing to do with the network."""
    import cv2

    found = np.empty(images.shape[:3], np.float32)
    for row, picture in enumerate(images):
        grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        found[row] = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    return found


# ------------------------------------------------------------------------------------------- deletion and insertion


def deletion_insertion(
    model: nn.Module,
    images: NDArray[np.uint8],
    spec: ImageSpec,
    targets: Sequence[int],
    maps: Maps,
    steps: int = STEPS,
) -> tuple[Figures, Figures]:
    """Mean probability of the target while the pixels go, or come, in the order of the map (Petsiuk et al. 2018).

    Deletion sets pixels to the picture's mean, insertion starts from the picture blurred (deviation of an eighth of the
    height). Pixels that speak most for the target are first; of equal ones a seeded order decides.

    Args:
        maps: (N, H, W).

    Returns:
        (N) deletion, the lower the better, and (N) insertion, the higher the better, both 0..1 (arXiv 1806.07421).
    """
    import cv2

    from fer_core.models.logits import predict_logits

    pixels = spec.height * spec.width
    tie = np.random.default_rng(SEED).random(pixels)
    ends = np.linspace(0, pixels, steps + 1).round().astype(int)
    found = np.empty((2, len(images)))
    for row, (picture, one, target) in enumerate(zip(images, maps, targets, strict=True)):
        order = np.lexsort((tie, -one.ravel().astype(np.float64)))
        rank = np.empty(pixels, dtype=np.int64)
        rank[order] = np.arange(pixels)
        taken = rank.reshape(spec.height, spec.width)[None] < ends[:, None, None]
        taken = taken if picture.ndim == 2 else taken[..., None]
        mean = np.rint(picture.mean(axis=(0, 1))).astype(np.uint8)
        blurred = cv2.GaussianBlur(picture, (0, 0), spec.height / 8, borderType=cv2.BORDER_REPLICATE)
        series = np.concatenate([np.where(taken, mean, picture), np.where(taken, picture, blurred)])
        logits = predict_logits(model, series, spec).astype(np.float64)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        probs = (odds[:, target] / odds.sum(axis=1)).reshape(2, -1)
        found[:, row] = np.trapezoid(probs, dx=1 / steps, axis=1)
    return found[0], found[1]


# --------------------------------------------------------------------------------------------- Captum's two measures


def infidelity(
    model: nn.Module, images: NDArray[np.uint8], spec: ImageSpec, targets: Sequence[int], maps: Maps, draws: int = 16
) -> Figures:
    """(N) how badly the map foretells the score's change under noise (Yeh et al. 2019, arXiv 1901.09392), 0 the best.

    Noise of a deviation of 0.2 in the normalised input, the same seeded draws for every picture; the map is scaled to
    fit best, so that methods of different units are comparable, and the figure is a part of the change's square: a map
    that foretells nothing has 1.
    """
    import torch
    from captum.metrics import infidelity as measure

    network = replica(model)
    score = score_of(network)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    found = np.empty(len(images))
    with torch.no_grad():
        for row in range(len(images)):
            inputs = normalise(to_tensor(images[row : row + 1], device), spec)
            generator = torch.Generator().manual_seed(SEED)
            noise = 0.2 * torch.randn(draws, *inputs.shape[1:], generator=generator).to(device)
            classes = (torch.tensor([int(targets[row])], device=device),)
            one = torch.from_numpy(np.ascontiguousarray(maps[row])).to(device)[None, None].expand_as(inputs)
            shared = (one / inputs.shape[1]).contiguous()  # a map's pixel is the sum over its channels

            def perturb(repeated: torch.Tensor, noise: torch.Tensor = noise) -> tuple[torch.Tensor, torch.Tensor]:
                return noise, repeated - noise

            value = measure(
                score, perturb, inputs, shared, additional_forward_args=classes, n_perturb_samples=draws, normalize=True
            )
            changes = score(inputs, *classes) - score(inputs - noise, *(c.expand(draws) for c in classes))
            size = float((changes**2).mean())
            found[row] = float(value[0]) / size if size > 0 else 0.0
    return found


def max_sensitivity(
    model: nn.Module,
    images: NDArray[np.uint8],
    spec: ImageSpec,
    targets: Sequence[int],
    method: str,
    layer: str | None = None,
    draws: int = 3,
    **parameters: Any,
) -> Figures:
    """(N) the largest relative change of the map under invisible noise (Yeh et al. 2019), 0 the best.

    Uniform noise of up to 0.02 in the normalised input, the same seeded draws for every picture.
    """
    import torch
    from captum.metrics import sensitivity_max

    how = METHODS.get(method)
    settings = how.parameters.model_validate(parameters)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    found = np.empty(len(images))
    with torch.inference_mode(False), torch.enable_grad():
        for row in range(len(images)):
            inputs = normalise(to_tensor(images[row : row + 1], device), spec)
            generator = torch.Generator().manual_seed(SEED)
            noise = (0.04 * torch.rand(draws, *inputs.shape[1:], generator=generator) - 0.02).to(device)
            target = torch.tensor([int(targets[row])], device=device)

            def maps_of(given: torch.Tensor | tuple[torch.Tensor], target: torch.Tensor = target) -> torch.Tensor:
                some = given[0] if isinstance(given, tuple) else given  # Captum gives the picture so, its copies bare
                network = replica(model)
                classes = (target.expand(len(some)),)
                question = Question(network, spec, score_of(network), some.detach(), classes, layer)
                return how.attribute(question, settings).detach().float()[:, None]

            value = sensitivity_max(
                maps_of,
                inputs,
                perturb_func=lambda repeated, radius, noise=noise: repeated + noise[: len(repeated)],
                n_perturb_samples=draws,
            )
            found[row] = float(value[0])
    return found


# --------------------------------------------------------------------------------------------------- shuffled weights


def shuffled(model: nn.Module, seed: int = SEED) -> nn.Module:
    """A copy whose weights are drawn anew, as before a training; torch's global random state is not touched."""
    import torch

    fresh = copy.deepcopy(model).eval()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        known: set[int] = set()
        for layer in fresh.modules():
            if callable(reset := getattr(layer, "reset_parameters", None)):
                reset()
                known |= {id(parameter) for parameter in layer.parameters(recurse=False)}
        for parameter in fresh.parameters():
            if id(parameter) not in known:
                torch.nn.init.normal_(parameter, 0, 0.02)
    return fresh


def rank_correlation(one: Maps, other: Maps) -> Figures:
    """(N) Spearman's correlation of the maps' absolute values, -1..1; 0 where a map is constant."""
    from scipy.stats import rankdata

    left, right = (rankdata(np.abs(maps.reshape(len(maps), -1)), axis=1) for maps in (one, other))
    left, right = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (left, right))
    size = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
    return np.asarray(np.divide((left * right).sum(axis=1), size, out=np.zeros(len(one)), where=size > 0))


# --------------------------------------------------------------------------------------------------- known pixels


def pointing(maps: Maps, masks: NDArray[np.bool_]) -> Figures:
    """(N) 1 where the map's largest value lies in the mask, else 0 (Zhang et al. 2016, arXiv 1608.00507).

    Of equal values a seeded order decides, so a constant map hits as often as the mask is large.
    """
    pixels = maps[0].size if len(maps) else 1
    tie = np.random.default_rng(SEED).permutation(pixels)
    flat = maps.reshape(len(maps), -1)[:, tie]
    best = tie[flat.argmax(axis=1)] if len(maps) else np.zeros(0, dtype=np.int64)
    hits: Figures = masks.reshape(len(maps), -1)[np.arange(len(maps)), best].astype(np.float64)
    return hits


def mass(maps: Maps, masks: NDArray[np.bool_]) -> Figures:
    """(N) part of what speaks for the target that lies in the mask, 0..1; a map without any has the mask's area."""
    speaks = np.maximum(maps.astype(np.float64), 0)
    total = speaks.sum(axis=(1, 2))
    inside = (speaks * masks).sum(axis=(1, 2))
    return np.asarray(np.divide(inside, total, out=masks.mean(axis=(1, 2)), where=total > 0))


# ------------------------------------------------------------------------------------------------------ leaderboard


def leaderboard(
    model: nn.Module,
    images: NDArray[np.uint8],
    spec: ImageSpec,
    targets: Sequence[int],
    layer: str | None,
    methods: Iterable[str] | None = None,
    masks: NDArray[np.bool_] | None = None,
    few: int = 8,
    on_method: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every method that suits the network, and two controls, on the same pictures.

    Args:
        targets: (N) the expression explained, one a picture: usually the predicted one.
        masks: (N, H, W) the pixels that carry the expression, where they are known.
        few: how many of the pictures, the first ones, serve for max-sensitivity, which makes four maps of each.
        on_method: called with the title of the method that begins, the number of those done, and of all.

    Returns:
        The methods, best first: `method, title, control, suits` (empty, or why it was left out), `n`, and with `_low`
        and `_high`, 95 % intervals over pictures: `deletion_gain` and `insertion_gain` (how much better than a random
        map's, as a probability), `infidelity`, `max_sensitivity` (of `few` pictures), `randomisation` (rank correlation
        with the map of shuffled weights), and, with masks, `pointing`, `mass` and `chance` (the masks' area).
        And the agreement: `method, other, n, correlation` with `_low` and `_high`, mean rank correlation of their maps.

    Raises:
        DataError: no picture.
    """
    if not len(images):
        raise DataError("A leaderboard of methods needs at least one picture; choose a split that has some.")
    images = np.asarray(images)
    names = METHODS.names() if methods is None else list(methods)
    fresh = shuffled(model)
    controls = {RANDOM: random_maps(len(images), spec), EDGES: edge_maps(images)}
    chance = random_maps(len(images), spec, SEED + 1)  # what every gain is measured against
    by_chance = deletion_insertion(model, images, spec, targets, chance)
    made: dict[str, Maps] = {}
    rows = []
    for number, name in enumerate([*controls, *names]):
        control = name in controls
        title = name if control else METHODS.get(name).title
        on_method(title, number, len(controls) + len(names))
        if not control and (reason := METHODS.get(name).suits(model, spec)):
            rows.append({"method": name, "title": title, "control": False, "suits": reason, "n": 0})
            continue
        if control:
            maps = controls[name]
            again = chance if name == RANDOM else maps  # a random map is drawn anew; edges do not know the weights
        else:
            try:
                maps = explain(model, images, spec, targets, name, layer).map
                again = explain(fresh, images, spec, targets, name, layer).map
            except ConfigError as error:  # such as a picture that is too small for a window
                rows.append({"method": name, "title": title, "control": False, "suits": str(error), "n": 0})
                continue
        curves = deletion_insertion(model, images, spec, targets, maps)
        made[name] = maps
        figures = {
            "deletion_gain": by_chance[0] - curves[0],
            "insertion_gain": curves[1] - by_chance[1],
            "infidelity": infidelity(model, images, spec, targets, maps),
            "randomisation": rank_correlation(maps, again),
        }
        if not control:
            some = slice(0, few)
            figures["max_sensitivity"] = max_sensitivity(model, images[some], spec, targets[some], name, layer)
        row: dict[str, Any] = {"method": name, "title": title, "control": control, "suits": "", "n": len(images)}
        if masks is not None:
            hits = pointing(maps, masks)
            row["pointing"] = float(hits.mean())
            row["pointing_low"], row["pointing_high"] = wilson(int(hits.sum()), len(hits))
            figures["mass"] = mass(maps, masks)
            row["chance"] = float(masks.mean())
        for figure, values in figures.items():
            for end, value in zip(("", "_low", "_high"), band(values), strict=True):
                row[figure + end] = float(value)
        rows.append(row)
    table = pd.DataFrame(rows)
    table = table.assign(_order=table["deletion_gain"] + table["insertion_gain"])
    table = table.sort_values(["_order", "method"], ascending=[False, True], na_position="last").drop(columns="_order")
    return table.reset_index(drop=True), _agreement({name: maps for name, maps in made.items() if name != RANDOM})


def _agreement(maps: dict[str, Maps]) -> pd.DataFrame:
    rows = []
    for one, other in combinations(maps, 2):
        values = rank_correlation(maps[one], maps[other])
        found = dict(zip(("correlation", "correlation_low", "correlation_high"), map(float, band(values)), strict=True))
        rows.append({"method": one, "other": other, "n": len(values), **found})
    return pd.DataFrame(rows, columns=["method", "other", "n", "correlation", "correlation_low", "correlation_high"])


# ------------------------------------------------------------------------------------------------------------ badge


@dataclass(frozen=True)
class Badge:
    """How far a map can be trusted, in one sentence."""

    level: Literal["supported", "partly supported", "not supported", "not measured"]
    sentence: str


def badge(row: pd.Series | None) -> Badge:
    """What a row of the leaderboard says of a method's maps; None: it was not measured for this network."""
    if row is None or not int(row["n"]):
        return Badge(
            "not measured",
            "How far this method can be trusted on this network was not measured; the command “ferscope explain-report” does it.",
        )
    faithful = [kind for kind in ("deletion", "insertion") if row[f"{kind}_gain_low"] > 0]
    comes_from_weights = bool(row["randomisation_high"] < CHANGES)
    gain, low, high = (100 * row[f"deletion_gain{end}"] for end in ("", "_low", "_high"))
    put, put_low, put_high = (100 * row[f"insertion_gain{end}"] for end in ("", "_low", "_high"))
    measured = (
        f"on {int(row['n']):,} pictures the pixels it marks beat random ones by {gain:.1f} points ({low:.1f} to {high:.1f}) "
        f"of probability when taken away and {put:.1f} ({put_low:.1f} to {put_high:.1f}) when put back"
    )
    kept = f"rank correlation {row['randomisation']:.2f} with the map of shuffled weights"
    if not comes_from_weights:
        return Badge(
            "not supported",
            f"Not supported: it hardly changes when the weights are shuffled ({kept}), so it shows the picture rather "
            f"than the network; {measured}.",
        )
    if len(faithful) == 2:
        return Badge("supported", f"Supported: {measured}, and it comes from the weights ({kept}).")
    if faithful:
        return Badge(
            "partly supported",
            f"Partly supported, by {faithful[0]} only: {measured}; it comes from the weights ({kept}).",
        )
    return Badge("not supported", f"Not supported: {measured}, no better than chance.")
