"""View and framing: how often a network is right when the head turns, the light moves, or the face is cut otherwise.

One setting is changed and everything else stays, so each person is compared with themselves at the setting's usual value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.errors import ConfigError, UnknownName
from fer_core.evaluation.intervals import Interval, percent
from fer_core.heads import EXPRESSIONS, Scene, express
from fer_core.lab.answers import Progress, acting, answers, check_people, person_scene
from fer_core.lab.paired import differences, mean_interval

if TYPE_CHECKING:
    from fer_core.serving.predictor import LoadedNetwork

PEOPLE, INTENSITY = 30, 0.8
ALL = "all"  # expressions together

# How the default camera frames a head, as a margin around mtcnn's boxes: (side of the image / longer side of the box) - 1. Over
# the first 60 people of an experiment, neutral, at 384 pixels, the median is 0.124 and the quartiles are 0.075 and 0.159, so all
# margins here are right to about 0.03. `python -m tests.benchmarks.lab` repeats it.
DEFAULT_MARGIN = 0.1


class View(NamedTuple):
    """What is changed: title, unit, the values measured, the usual one among them, and the scene at a value."""

    title: str
    unit: str
    values: tuple[float, ...]
    usual: float
    at: Callable[[Scene, float], Scene]


def _of(part: str, name: str) -> Callable[[Scene, float], Scene]:
    def at(scene: Scene, value: float) -> Scene:
        one = getattr(scene, part)
        return scene.model_copy(update={part: type(one)(**{**dict(one), name: value})})

    return at


def framed(scene: Scene, margin: float) -> Scene:
    """The scene as a cut with this margin around mtcnn's box shows it; the camera keeps its place, so the face its shape."""
    return _of("camera", "focal")(scene, scene.camera.focal * (1 + DEFAULT_MARGIN) / (1 + margin))


def _brighter(scene: Scene, stops: float) -> Scene:
    return _of("camera", "exposure")(scene, max(-3.0, min(3.0, scene.camera.exposure + stops)))


MARGINS = (-0.2, -0.1, -0.06, 0.0, DEFAULT_MARGIN, 0.2, 0.3, 0.45, 0.6)  # −0.06 frames as FER2013 does
SHIFTS = (-0.16, -0.08, -0.04, 0, 0.04, 0.08, 0.16)
VIEWS: dict[str, View] = {
    "yaw": View("Yaw", "°", (-60, -45, -30, -15, 0, 15, 30, 45, 60), 0, _of("pose", "yaw")),
    "pitch": View("Pitch", "°", (-40, -30, -20, -10, 0, 10, 20, 30, 40), 0, _of("pose", "pitch")),
    "roll": View("Roll", "°", (-45, -30, -20, -10, 0, 10, 20, 30, 45), 0, _of("pose", "roll")),
    "light": View("Light from the side", "°", (-90, -60, -35, 0, 35, 60, 90), 35, _of("light", "azimuth")),
    "exposure": View("Exposure", " stops", (-2, -1, 0, 1, 2), 0, _brighter),
    "margin": View("Margin of the cut", "", MARGINS, DEFAULT_MARGIN, framed),
    "right": View("Shift to the right", " of the width", SHIFTS, 0, _of("camera", "x")),
    "down": View("Shift downwards", " of the height", SHIFTS, 0, _of("camera", "y")),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Seen:
    """What a network answered.

    Attributes:
        network: its title.
        view: a key of `VIEWS`.
        expressions: shown.
        right: (people, expressions, values) whether the network predicts the expression.
    """

    network: str
    view: str
    expressions: tuple[str, ...]
    right: NDArray[np.bool_]

    def table(self) -> pd.DataFrame:
        """One row a value and expression, “all” first.

        Returns:
            `expression`, `value`, `accuracy` with `accuracy_low`, `accuracy_high` (95 %, Student, over people), and
            `difference` from the usual value on the same people with `low`, `high`, `p` and `p_adjusted` (Holm over the
            values, as two families: “all”, and the single expressions; of the usual value itself they are missing).
        """
        what = VIEWS[self.view]
        usual = what.values.index(what.usual)
        others = [i for i in range(len(what.values)) if i != usual]
        right = self.right.astype(float)
        tables = []
        for group in ({ALL: right.mean(1)}, {name: right[:, i] for i, name in enumerate(self.expressions)}):
            rows = []
            for expression, values in group.items():
                mean, low, high = mean_interval(values)
                bounds = {"accuracy_low": low.clip(0, 1), "accuracy_high": high.clip(0, 1)}
                rows.append(pd.DataFrame({"expression": expression, "value": what.values, "accuracy": mean, **bounds}))
            whole = pd.concat(rows, ignore_index=True)
            changes = [values[:, others] - values[:, [usual]] for values in group.values()]
            tested = differences(np.concatenate(changes, 1), families=2)
            tested.index = pd.Index(np.flatnonzero(whole["value"] != what.usual))
            tables.append(whole.join(tested))
        return pd.concat(tables, ignore_index=True)

    def tables(self) -> dict[str, pd.DataFrame]:
        """`values` as `table`."""
        return {"values": self.table()}

    def sentence(self) -> str:
        """The accuracy at the usual value, where it is significantly lower or higher, and the expression that loses most."""
        what, table = VIEWS[self.view], self.table()
        whole = table[table["expression"] == ALL]
        usual = whole[whole["value"] == what.usual].iloc[0]
        start = (
            f"{self.network}, {what.title.lower()}: accuracy {percent(usual['accuracy'])} on {len(self.right)} heads with all "
            f"expressions at {worded(self.view, what.usual)} (the usual)."
        )
        found = whole[whole["p_adjusted"] <= 0.05]
        ordered = found.sort_values("difference")
        said = [] if len(found) else ["No other value changes it significantly"]
        for way, row in [("lowest", ordered.iloc[0]), ("highest", ordered.iloc[-1])] if len(found) else []:
            if (row["difference"] < 0) == (way == "lowest"):
                said.append(
                    f"It is {way} at {worded(self.view, row['value'])}: {percent(row['accuracy'])}, "
                    f"{100 * row['difference']:+.1f} points ({Interval(row['low'], row['high']).text()})"
                )
        parts = table[(table["expression"] != ALL) & (table["p_adjusted"] <= 0.05)]
        if len(parts):
            worst = parts.sort_values("difference", key=np.abs).iloc[-1]
            said.append(
                f"The largest change of one expression: {worst['expression']} at {worded(self.view, worst['value'])}, "
                f"{100 * worst['difference']:+.1f} points ({Interval(worst['low'], worst['high']).text()})"
            )
        return f"{start} {'. '.join(said)}."


def worded(view: str, value: float) -> str:
    """A value with its unit: “-30°”, “0.08”."""
    return f"{value:g}{VIEWS[view].unit}".replace("-", "−")


def scenes(view: str, expressions: list[str], people: int = PEOPLE, seed: int = 0) -> list[list[Scene]]:
    """One list a person: all values for the first expression, then for the next.

    Raises:
        UnknownName: there is no such view.
    """
    if view not in VIEWS:
        raise UnknownName("view of a head", view, VIEWS)
    what, units = VIEWS[view], []
    for number in range(people):
        shown = [acting(person_scene(number, seed), express(name, INTENSITY)) for name in expressions]
        units.append([what.at(scene, value) for scene in shown for value in what.values])
    return units


def measure(
    network: LoadedNetwork, view: str, people: int = PEOPLE, seed: int = 0, progress: Progress | None = None
) -> Seen:
    """Measure accuracy against a setting of the view; what was measured before is taken from the workspace.

    Raises:
        UnknownName: there is no such view.
        ConfigError: too few people, or the network knows none of the heads' expressions.
        CheckpointError: the network's output is not finite.
    """
    check_people(people)
    known = list(network.card.expressions)
    shown = [name for name in known if name in EXPRESSIONS]
    if not shown:
        raise ConfigError(
            f"{network.card.title} knows none of the expressions that heads show ({', '.join(EXPRESSIONS)}); its own are "
            f"{', '.join(known)}."
        )
    probs = answers(network, scenes(view, shown, people, seed), progress)
    predicted = probs.argmax(-1).reshape(people, len(shown), len(VIEWS[view].values))
    right = predicted == np.array([known.index(name) for name in shown])[None, :, None]
    return Seen(network.card.title, view, tuple(shown), right)
