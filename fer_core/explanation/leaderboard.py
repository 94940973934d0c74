"""A leaderboard of methods on one network: each map is compared with the map of another image, and with other controls.

A fair control is as smooth and central as a map. Random pixels are not, so any smooth, central map beats them. The main
figure is how much better an image's own map orders its pixels than the same method's map of another image with the same
predicted expression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.errors import ConfigError, DataError
from fer_core.evaluation.intervals import LEVEL, SEED
from fer_core.explanation import METHODS, Method, Parameters, Question, explain, suits_all
from fer_core.explanation.faithfulness import (
    Curves,
    Explained,
    Figures,
    Maps,
    Perturbations,
    max_sensitivity,
    rank_correlation,
)
from fer_core.explanation.means import band
from fer_core.explanation.randomisation import cascade
from fer_core.faces.template import REGIONS, template
from fer_core.images import ImageSpec

if TYPE_CHECKING:
    import torch

RANDOM, EDGES, FACE = "random map", "edges of the image", "face template"  # the controls that run as methods
SAME = 1e-3  # relative difference below which the maps of two methods count as the same


# ------------------------------------------------------------------------------------------------------------ controls


def random_maps(count: int, spec: ImageSpec, seed: int = SEED) -> Maps:
    """(count, H, W) uniform in 0..1."""
    return np.random.default_rng(seed).random((count, spec.height, spec.width), dtype=np.float32)


def face_map(spec: ImageSpec) -> NDArray[np.float32]:
    """(H, W) one fixed map for all faces: high on eyes, nose and mouth, and falling off smoothly around them."""
    import cv2

    regions = template(spec.height, spec.width)
    core = np.isin(regions, [REGIONS.index(name) for name in ("eyes", "nose", "mouth")]).astype(np.float32)
    return cv2.GaussianBlur(core, (0, 0), spec.height / 16).astype(np.float32, copy=False)


def same_spectrum(maps: Maps, seed: int = SEED) -> Maps:
    """(N, H, W) noise with the amplitudes of each map's Fourier transform and random phases: as smooth, and nowhere."""
    shape = maps.shape[1:]
    random = np.random.default_rng(seed)
    phases = np.angle(np.fft.rfft2(random.standard_normal((len(maps), *shape))))
    spectrum = np.abs(np.fft.rfft2(maps.astype(np.float64))) * np.exp(1j * phases)
    return np.fft.irfft2(spectrum, s=shape).astype(np.float32)


def control_methods(seed: int = SEED) -> dict[str, Method]:
    """The controls that run as if they were methods: a random map, the image's edges, and one map for every face."""
    import torch

    random = np.random.default_rng(seed)

    def drawn(question: Question, parameters: Parameters) -> torch.Tensor:
        n, _, height, width = question.inputs.shape
        return torch.from_numpy(random.random((n, height, width), dtype=np.float32))

    def edges(question: Question, parameters: Parameters) -> torch.Tensor:
        down, across = torch.gradient(question.inputs.mean(dim=1), dim=(1, 2))
        return torch.hypot(down, across)

    def face(question: Question, parameters: Parameters) -> torch.Tensor:
        return torch.from_numpy(face_map(question.spec)).expand(len(question.inputs), -1, -1)

    makers = {RANDOM: drawn, EDGES: edges, FACE: face}
    return {
        name: Method(name, name, "a control", False, False, Parameters, "place", suits_all, make, gradients=False)
        for name, make in makers.items()
    }


def another(targets: Sequence[int], seed: int = SEED) -> NDArray[np.int64]:
    """For each image, the position of another one with the same target, if there is one; each is used once."""
    asked = np.asarray(targets)
    order = np.random.default_rng(seed).permutation(len(asked))
    groups = [order[asked[order] == target] for target in np.unique(asked)]
    alone = [group for group in groups if len(group) == 1]
    groups = [group for group in groups if len(group) > 1]
    if alone:  # images without a partner are given one of another target
        left = np.concatenate(alone)
        if len(left) == 1 and groups:
            left = np.concatenate([left, groups.pop()])
        groups.append(left)
    found = np.empty(len(asked), dtype=np.int64)
    for group in groups:
        found[group] = np.roll(group, 1)
    return found


# --------------------------------------------------------------------------------------------------------- leaderboard


def leaderboard(
    explained: Explained,
    layer: str | None,
    methods: Iterable[str | Method] | None = None,
    few: int = 16,
    on_method: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure every suitable method, and three controls, on one view of the same images.

    Args:
        explained: its targets are the predicted expressions, so that images of one target are alike in what the network
            says of them.
        methods: names, or methods that are in no registry; None: all of the registry.
        few: how many of the images, the first ones, serve for the checks that make several maps of each: new weights,
            another expression, infidelity; half of them for max-sensitivity.
        on_method: called with the title of the method that begins, the number of those done, and of all.

    Returns:
        The methods, best first: `method, title, claims, control, suits` (empty, or why it was left out), `n, few,
        compared` (methods that share the correction) and, with `_low` and `_high`:
        `gain`: how much better the image's own map orders its pixels than the map of another image of the same target,
        in probability, -1..1: the mean of `deletion_gain` and `insertion_gain`. `over_face`, `over_noise`: the same
        against one map for every face, and against noise of the map's spectrum. Their intervals have the level
        1 - 0.05 / `compared` (Bonferroni), so that all of them hold together in 95 %.
        `new_head, half_new, randomisation`: rank correlation with the map after the last layer, half of the layers and
        all are drawn anew. `other_class`: with the map of the second most likely expression. `infidelity`,
        `max_sensitivity`: 95 % intervals.
        And the agreement: `method, other, n, correlation` with `_low` and `_high`, mean rank correlation of their maps.

    Raises:
        DataError: fewer than two images: there is no other one to compare with.
    """
    model, images, spec, targets = explained.model, explained.images, explained.spec, explained.targets
    if len(images) < 2:
        raise DataError(
            "A leaderboard of methods needs at least two images, each a control for another; choose a split that has some."
        )
    some = slice(0, few)
    chosen = [
        METHODS.get(one) if isinstance(one, str) else one for one in (METHODS.names() if methods is None else methods)
    ]
    controls = control_methods()
    entries = [*controls.values(), *chosen]
    board = _Board(explained, layer, few)
    made: dict[str, Maps] = {}
    rows: list[dict[str, Any]] = []
    kept: dict[str, dict[str, Figures]] = {}
    for number, how in enumerate(entries):
        on_method(how.title, number, len(entries))
        row: dict[str, Any] = {
            "method": how.name,
            "title": how.title,
            "claims": how.claims,
            "control": how.name in controls,
        }
        if reason := how.refusal(model, spec):
            rows.append(row | {"suits": reason, "n": 0})
            continue
        try:
            maps = explain(model, images, spec, targets, how, layer).map
            if twin := next((name for name, other in made.items() if _same(maps, other)), None):
                title = next(one.title for one in entries if one.name == twin)
                raise ConfigError(f"its maps are those of {title} on this network, so it is counted once")
            kept[how.name] = board.figures(how, maps)
        except ConfigError as error:  # such as an image that is too small for a window
            rows.append(row | {"suits": str(error).rstrip("."), "n": 0})
            continue
        made[how.name] = maps
        if how.name not in controls:
            kept[how.name]["max_sensitivity"] = max_sensitivity(explained.first(max(2, few // 2)), how, layer)
        rows.append(row | {"suits": "", "n": len(images), "few": len(images[some])})
    compared = sum(name not in controls for name in kept)
    for row in rows:
        row["compared"] = compared
        for figure, values in kept.get(row["method"], {}).items():
            level = 1 - (1 - LEVEL) / max(1, compared) if figure in GAINS else LEVEL
            for end, value in zip(("", "_low", "_high"), band(values, level), strict=True):
                row[figure + end] = float(value)
    table = pd.DataFrame(rows).sort_values(["gain", "method"], ascending=[False, True], na_position="last")
    return table.reset_index(drop=True), _agreement({name: maps for name, maps in made.items() if name != RANDOM})


GAINS = ("gain", "deletion_gain", "insertion_gain", "over_face", "over_noise")


class _Board:
    """What all methods of a leaderboard share: curves, controls, new weights, changes of the images."""

    def __init__(self, explained: Explained, layer: str | None, few: int) -> None:
        from fer_core.models.logits import predict_logits

        model, images, spec, targets = explained.model, explained.images, explained.spec, explained.targets
        self.images, self.spec, self.targets, self.layer = images, spec, list(targets), layer
        self.some = slice(0, few)
        self.model = model
        self.curves = Curves(explained)
        self.other = another(targets)
        self.face = self._both(self.curves.of(np.repeat(face_map(spec)[None], len(images), axis=0)))
        self.stages = dict(cascade(model, spec))
        self.changes = Perturbations(explained.first(few))
        logits = predict_logits(model, images[self.some], spec)
        logits[np.arange(len(logits)), self.targets[self.some]] = -np.inf
        self.second = logits.argmax(axis=1).tolist()

    @staticmethod
    def _both(curves: tuple[Figures, Figures]) -> Figures:
        """(N) how well a map orders the pixels, in probability: the mean of what both curves say for it."""
        deletion, insertion = curves
        return (insertion - deletion) / 2

    def figures(self, how: Method, maps: Maps) -> dict[str, Figures]:
        """The figures of each image, or of the first few."""
        own, others = self.curves.of(maps), self.curves.of(maps[self.other])
        noise = self.curves.of(same_spectrum(maps))
        few, images, targets = maps[self.some], self.images[self.some], self.targets[self.some]
        found = {
            "deletion_gain": others[0] - own[0],
            "insertion_gain": own[1] - others[1],
            "gain": self._both(own) - self._both(others),
            "over_face": self._both(own) - self.face,
            "over_noise": self._both(own) - self._both(noise),
        }
        for stage, network in self.stages.items():
            again = explain(network, images, self.spec, targets, how, self.layer).map
            found[stage] = rank_correlation(few, again)
        second = explain(self.model, images, self.spec, self.second, how, self.layer).map
        found["other_class"] = rank_correlation(few, second, signed=how.signed)
        infidelity = self.changes.infidelity(few, how.claims, how.signed)
        return found if infidelity is None else found | {"infidelity": infidelity}


def _same(one: Maps, other: Maps) -> bool:
    """Whether two methods made the same maps up to a factor."""
    scales = [np.abs(maps).mean() for maps in (one, other)]
    if not min(scales) > 0:
        return False
    return bool(np.abs(one / scales[0] - other / scales[1]).max() < SAME * np.abs(one / scales[0]).max())


def _agreement(maps: dict[str, Maps]) -> pd.DataFrame:
    rows = []
    for one, other in combinations(maps, 2):
        values = rank_correlation(maps[one], maps[other])
        found = dict(zip(("correlation", "correlation_low", "correlation_high"), map(float, band(values)), strict=True))
        rows.append({"method": one, "other": other, "n": len(values), **found})
    return pd.DataFrame(rows, columns=["method", "other", "n", "correlation", "correlation_low", "correlation_high"])
