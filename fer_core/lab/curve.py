"""Response curves: what a network predicts as an expression grows from rest to its full strength."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.errors import ConfigError
from fer_core.evaluation.intervals import Interval, percent, wilson_bounds
from fer_core.heads import Scene, express
from fer_core.heads.actions import Mouth
from fer_core.lab.answers import Progress, acting, answers, check, person_scene
from fer_core.lab.paired import mean_interval
from fer_core.lab.psychometric import Psychometric, fit

if TYPE_CHECKING:
    from fer_core.serving.predictor import LoadedNetwork

PEOPLE, STEPS = 60, 11


@dataclass(frozen=True, eq=False)
class Curve:
    """What a network answered.

    Attributes:
        network: its title.
        expression: what the heads show; mouth: open or closed, or None for the expression's usual one.
        expressions: of the network, in the order of its card.
        intensities: (S), 0 to 1.
        probs: (people, S, K).
    """

    network: str
    expression: str
    mouth: Mouth | None
    expressions: tuple[str, ...]
    intensities: NDArray[np.float64]
    probs: NDArray[np.float64]

    @property
    def people(self) -> int:
        return len(self.probs)

    @cached_property
    def recognised(self) -> NDArray[np.bool_]:
        """(people, S), whether the expression shown is the one predicted."""
        return np.asarray(self.probs.argmax(2) == self.expressions.index(self.expression))

    @cached_property
    def psychometric(self) -> Psychometric:
        """The function that describes the share of people recognised."""
        return fit(self.intensities, self.recognised)

    def table(self) -> pd.DataFrame:
        """One row for each intensity and expression.

        Returns:
            `intensity` (0 to 1), `expression` (answered), `probability` (mean over people) with `low` and `high` (95 %,
            Student, within 0 and 1), and `predicted` (share of people for whom it is the most probable) with
            `predicted_low` and `predicted_high` (95 %, Wilson).
        """
        rows = []
        chosen = self.probs.argmax(2)
        for k, name in enumerate(self.expressions):
            mean, low, high = mean_interval(self.probs[:, :, k])
            hits = (chosen == k).sum(0)
            least, most = wilson_bounds(hits, self.people)
            rows.append(
                pd.DataFrame(
                    {
                        "intensity": self.intensities,
                        "expression": name,
                        "probability": mean,
                        "low": np.clip(low, 0, 1),
                        "high": np.clip(high, 0, 1),
                        "predicted": hits / self.people,
                        "predicted_low": least,
                        "predicted_high": most,
                    }
                )
            )
        return pd.concat(rows, ignore_index=True)

    def tables(self) -> dict[str, pd.DataFrame]:
        """`answers` as `table`, and `fit`: the fitted share, `predicted`, at 101 values of `intensity`."""
        x = np.linspace(0, 1, 101)
        return {"answers": self.table(), "fit": pd.DataFrame({"intensity": x, "predicted": self.psychometric.at(x)})}

    def sentence(self) -> str:
        """The answer in words; where there is no threshold, no number is given for it."""
        how = "" if self.mouth is None else f" with the mouth {self.mouth}"
        own = self.table().query("expression == @self.expression")
        first, last = own.iloc[0], own.iloc[-1]

        def share(row: pd.Series) -> str:
            bounds = Interval(float(row["predicted_low"]), float(row["predicted_high"]))
            return f"{percent(float(row['predicted']))} (95 % CI {bounds.text()})"

        found = self.psychometric
        if found.threshold is None or found.threshold_interval is None or found.slope is None:
            if first["predicted"] >= 0.5:
                return (
                    f"{self.network} predicts {self.expression} for {share(first)} of {self.people} people at rest already, and "
                    f"for {share(last)} at full intensity, so there is no threshold."
                )
            return (
                f"{self.network} predicts {self.expression} for {share(last)} of {self.people} people at full intensity{how}. "
                "The share does not rise through one half, so there is no threshold."
            )
        return (
            f"{self.network} needs {100 * found.threshold:.0f} % of a full {self.expression} expression{how} "
            f"(95 % CI {found.ends}, {self.people} people): from there on it predicts {self.expression} for half of the people. "
            f"There the share rises by {10 * found.slope:.0f} points for each 10 % of intensity. At full intensity it predicts "
            f"{self.expression} for {share(last)}."
        )


def scenes(
    expression: str, people: int = PEOPLE, steps: int = STEPS, mouth: Mouth | None = None, seed: int = 0
) -> list[list[Scene]]:
    """One list a person: the same face with the expression in equal steps from 0 to 1.

    Raises:
        UnknownName: there is no such expression of heads.
        ConfigError: fewer than five steps.
    """
    if steps < 5:
        raise ConfigError(f"A curve of {steps} intensities shows no shape; use at least 5.")
    made = [express(expression, float(x), mouth=mouth) for x in np.linspace(0, 1, steps)]
    return [[acting(person_scene(number, seed), actions) for actions in made] for number in range(people)]


def measure(
    network: LoadedNetwork,
    expression: str,
    people: int = PEOPLE,
    steps: int = STEPS,
    mouth: Mouth | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Curve:
    """Measure a response curve; what was measured before is taken from the workspace.

    Args:
        people: how many; at least `answers.LEAST`.
        progress: called with the number of people done and of all.

    Raises:
        UnknownName: the network, or the heads, do not know the expression.
        ConfigError: too few people or steps.
        CheckpointError: the network's output is not finite.
    """
    check(network, expression, people)
    probs = answers(network, scenes(expression, people, steps, mouth, seed), progress)
    card = network.card
    return Curve(card.title, expression, mouth, tuple(card.expressions), np.linspace(0, 1, steps), probs)
