"""Truth for maps: how much of a map lies on the pixels that an expression really moves or shades.

The renderer knows these pixels. A head with an expression and the same head at rest differ in nothing else, so whatever turned
the network's answer from one to the other lies there. Only faces that the network predicts right are explained.

The pointing game: J. Zhang and others, *Top-down neural attention by excitation backprop*, ECCV 2016 (arXiv 1608.00507).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core import explanation
from fer_core.errors import ConfigError
from fer_core.evaluation.intervals import Interval, percent, wilson_bounds
from fer_core.explanation import METHODS, Method, Parameters, explain, suits_all
from fer_core.explanation.faithfulness import mass, pointing
from fer_core.heads import EXPRESSIONS, Scene, express, moved
from fer_core.images import ImageSpec
from fer_core.lab.answers import LEAST, Progress, acting, check_people, code_of, image_for, kept, person_scene
from fer_core.lab.paired import corrected, differences, mean_interval

if TYPE_CHECKING:
    import torch

    from fer_core.explanation import Question
    from fer_core.serving.predictor import LoadedNetwork

PEOPLE, INTENSITY = 12, 0.8
QUICK = (  # smoothgrad alone takes longer than these together
    "grad-cam", "hi-res-cam", "saliency", "input-x-gradient", "integrated-gradients", "deep-lift",
    "guided-backpropagation", "guided-grad-cam", "occlusion",
)  # fmt: skip
BLOB = "centred blob"
ALL = "all"  # expressions together


@dataclass(frozen=True, eq=False)
class Truth:
    """What the maps of a network show.

    Attributes:
        network: its title.
        methods: titles of the methods by name, the controls first.
        left: why a method was left out, by name.
        expressions: shown.
        right: (people, expressions) whether the network predicts the expression.
        area: (people, expressions) share of the image that the expression moves or shades.
        figures: (people, expressions, methods, 2) share of the map's positive mass in these pixels, and whether its maximum lies
            there; of wrong faces without meaning.
    """

    network: str
    methods: dict[str, str]
    left: dict[str, str]
    expressions: tuple[str, ...]
    right: NDArray[np.bool_]
    area: NDArray[np.float64]
    figures: NDArray[np.float64]

    def table(self) -> pd.DataFrame:
        """One row a method and expression, “all” for their mean, best first; rows of fewer than eight people are left out.

        Returns:
            `expression`, `method`, `title`, `control`, `people`, `faces`, `area` (mean share of the image), `mass` with
            `mass_low`, `mass_high` (95 %, Student, over people), `pointing` with `pointing_low`, `pointing_high` (95 %, Wilson,
            over people), and `difference`: mass less that of a centred blob on the same faces, with `low`, `high`, `p` (paired
            over people) and `p_adjusted` (Holm over the methods, as two families: “all”, and the single expressions).
        """
        rows = []
        for expression in (ALL, *self.expressions):
            faces = self.right if expression == ALL else self.right & (np.array(self.expressions) == expression)
            people = faces.any(1)
            if people.sum() < LEAST:
                continue
            weights = faces[people] / faces[people].sum(1, keepdims=True)
            figures = np.einsum(
                "pe,pemf->pmf", weights, np.where(faces[people][..., None, None], self.figures[people], 0)
            )
            rows.append(
                self._rows(expression, figures, int(faces.sum()), float((weights * self.area[people]).sum(1).mean()))
            )
        if not rows:
            return pd.DataFrame(columns=COLUMNS)
        table = pd.concat(rows, ignore_index=True)
        for whole in (True, False):
            some = (~table["control"]) & ((table["expression"] == ALL) == whole)
            table.loc[some, "p_adjusted"] = corrected(table.loc[some, "p"].to_numpy(), families=2)
        order = {name: place for place, name in enumerate((ALL, *self.expressions))}
        return table.sort_values(["expression", "mass"], ascending=[True, False], key=lambda one: one.map(order) if
                                 one.name == "expression" else one).reset_index(drop=True)[list(COLUMNS)]  # fmt: skip

    def _rows(self, expression: str, figures: NDArray[np.float64], faces: int, area: float) -> pd.DataFrame:
        """Figures (people, methods, 2) of one expression as rows; only their p is not corrected yet."""
        people, names = len(figures), list(self.methods)
        mean, low, high = mean_interval(figures[:, :, 0])
        hits = figures[:, :, 1].mean(0)
        least, most = wilson_bounds(hits * people, people)
        blob = figures[:, names.index(BLOB), 0]
        found = differences(figures[:, :, 0] - blob[:, None])
        return pd.DataFrame(
            {
                "expression": expression, "method": names, "title": list(self.methods.values()),
                "control": [name in CONTROLS for name in names], "people": people, "faces": faces, "area": area,
                "mass": mean, "mass_low": np.clip(low, 0, 1), "mass_high": np.clip(high, 0, 1),
                "pointing": hits, "pointing_low": least, "pointing_high": most,
            }
        ).join(found.assign(p_adjusted=np.nan))  # fmt: skip

    def tables(self) -> dict[str, pd.DataFrame]:
        """`methods` as `table`, and `left`: the `method` that were left out, and `why`."""
        return {"methods": self.table(), "left": pd.DataFrame(list(self.left.items()), columns=["method", "why"])}

    def sentence(self) -> str:
        """How many methods are better than a centred blob, and the best."""
        table = self.table()
        whole = table[table["expression"] == ALL]
        if not len(whole):
            return (
                f"{self.network} predicts the expression of fewer than {LEAST} of {len(self.right)} people right, which is "
                "too few to judge its maps."
            )
        ours, blob = whole[~whole["control"]], whole[whole["method"] == BLOB].iloc[0]
        better = ours[(ours["p_adjusted"] <= 0.05) & (ours["difference"] > 0)]
        worse = ours[(ours["p_adjusted"] <= 0.05) & (ours["difference"] < 0)]
        start = (
            f"{self.network}, on {blob['faces']} faces of {blob['people']} people that it predicts right: an expression moves or "
            f"shades {percent(blob['area'])} of the image. A centred blob has {share(blob, 'mass')} of its mass there."
        )
        if not len(ours):
            return f"{start} No method suits this network."
        best = ours.iloc[0]
        said = f"{len(better)} of {len(ours)} methods have significantly more there, {len(worse)} significantly less."
        return f"{start} {said} The most has {best['title']}: {share(best, 'mass')}."


COLUMNS = (
    "expression", "method", "title", "control", "people", "faces", "area", "mass", "mass_low", "mass_high", "pointing",
    "pointing_low", "pointing_high", "difference", "low", "high", "p", "p_adjusted",
)  # fmt: skip


def share(row: pd.Series, figure: str) -> str:
    """“41.2 % (95 % CI 38.0 to 44.4)” of a figure of the table."""
    bounds = Interval(float(row[f"{figure}_low"]), float(row[f"{figure}_high"]))
    return f"{percent(float(row[figure]))} (95 % CI {bounds.text()})"


def about_method(table: pd.DataFrame, method: str) -> str:
    """What the table says of one method, in a sentence; empty where it says nothing."""
    whole = table[table["expression"] == ALL]
    row, blob = whole[whole["method"] == method], whole[whole["method"] == BLOB]
    if not len(row) or not len(blob):
        return ""
    one, other = row.iloc[0], blob.iloc[0]
    compared = "does not differ significantly from"
    if one["p_adjusted"] <= 0.05:
        compared = "is significantly more than" if one["difference"] > 0 else "is significantly less than"
    return (
        f"On rendered heads, where the truth is known, {share(one, 'mass')} of the map lies on the pixels that the expression "
        f"moves or shades ({percent(one['area'])} of the image). This {compared} the {percent(other['mass'])} of a centred blob "
        f"({one['people']} people)."
    )


def _blob(question: Question, parameters: Parameters) -> torch.Tensor:
    """A Gaussian in the image's middle, with a standard deviation of a quarter of the side."""
    import torch

    n, _, height, width = question.inputs.shape
    y, x = torch.linspace(-2, 2, height), torch.linspace(-2, 2, width)
    return torch.exp(-(y[:, None] ** 2 + x[None] ** 2) / 2).expand(n, -1, -1)


def controls() -> dict[str, Method]:
    """A random map, the image's edges and a centred blob, as if they were methods."""
    from fer_core.explanation.leaderboard import EDGES, RANDOM, control_methods

    known = control_methods()
    blob = Method(BLOB, BLOB, "a control", False, False, Parameters, "place", suits_all, _blob, gradients=False)
    return {RANDOM: known[RANDOM], EDGES: known[EDGES], BLOB: blob}


CONTROLS = ("random map", "edges of the image", BLOB)


def scenes(expressions: Sequence[str], people: int = PEOPLE, seed: int = 0) -> list[list[Scene]]:
    """One list a person: the scene of each expression."""
    made = [express(name, INTENSITY) for name in expressions]
    return [[acting(person_scene(number, seed), actions) for actions in made] for number in range(people)]


def masks_of(unit: Sequence[Scene], spec: ImageSpec) -> NDArray[np.bool_]:
    """(scenes, H, W) the pixels that the expressions move or shade."""
    return np.stack([moved(scene, scene.actions, (spec.height, spec.width)) for scene in unit])


def measure(
    network: LoadedNetwork,
    methods: Sequence[str] = QUICK,
    people: int = PEOPLE,
    seed: int = 0,
    progress: Progress | None = None,
) -> Truth:
    """Hold the maps of methods against the pixels that expressions move; finished people are kept in the workspace.

    Args:
        methods: names in `METHODS`; those that do not suit the network are left out.

    Raises:
        UnknownName: there is no such method.
        ConfigError: too few people, no method, or a network that knows no expression in which the face moves.
        CheckpointError: the network's output is not finite.
    """
    check_people(people)
    if not methods:
        raise ConfigError("There is no method to compare; choose one or more.")
    card, spec = network.card, network.card.image
    expressions = tuple(name for name in card.expressions if name in EXPRESSIONS and name != "neutral")
    if not expressions:
        raise ConfigError(
            f"{card.title} knows no expression in which a rendered face moves, so there is nothing to point at."
        )
    entries, left = dict(controls()), {}
    for name in methods:
        how = METHODS.get(name)
        if reason := how.refusal(network.model, spec):
            left[name] = reason
        else:
            entries[name] = how
    code = code_of(Path(explanation.__file__).parent)
    found = []
    for number, unit in enumerate(scenes(expressions, people, seed), 1):
        key = [*entries, code, *(scene.model_dump_json() for scene in unit)]
        shape = (len(entries) + 1, len(unit), 2)
        found.append(kept(network, key, shape, lambda unit=unit: _figures(network, unit, expressions, entries)))  # type: ignore[misc]
        if progress is not None:
            progress(number, people)
    all_figures = np.stack(found)
    broken = [name for i, name in enumerate(entries, 1) if not np.isfinite(all_figures[:, i]).all()]
    left |= dict.fromkeys(broken, "it cannot be made of images of this size")
    good = [name for name in entries if name not in broken]
    figures = all_figures[:, [list(entries).index(name) + 1 for name in good]].transpose(0, 2, 1, 3)
    return Truth(
        card.title, {name: entries[name].title for name in good}, left, expressions, all_figures[:, 0, :, 0] > 0.5,
        all_figures[:, 0, :, 1], figures,
    )  # fmt: skip


def _figures(
    network: LoadedNetwork, unit: Sequence[Scene], expressions: Sequence[str], entries: dict[str, Method]
) -> NDArray[np.float64]:
    """(1 + methods, expressions, 2): whether the network is right and the masks' area, then mass and pointing of each map."""
    from fer_core.models import attribution_layer

    card, spec = network.card, network.card.image
    images, masks = np.stack([image_for(scene, spec) for scene in unit]), masks_of(unit, spec)
    targets = [card.expressions.index(name) for name in expressions]
    right = network.probs(images).argmax(1) == targets
    rows = [np.stack([right.astype(np.float64), masks.mean((1, 2))], 1)]
    needed = any(how.needs_layer for how in entries.values())
    layer = attribution_layer(card.network, network.model) if needed else None
    for how in entries.values():
        try:
            maps = explain(network.model, images, spec, targets, how, layer).map
        except ConfigError:  # such as an image that is too small for a window
            rows.append(np.full((len(unit), 2), np.nan))
            continue
        rows.append(np.stack([mass(maps, masks), pointing(maps, masks)], 1))
    return np.stack(rows)
