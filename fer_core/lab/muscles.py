"""Muscles: which action units of an expression a network uses.

The units of an expression are the players of a game whose worth is the probability of the expression (L. S. Shapley, *A value
for n-person games*, 1953). An expression has seven units at most, so all coalitions are rendered and the values are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.errors import ConfigError, UnknownName
from fer_core.evaluation.intervals import Interval
from fer_core.heads import EXPRESSIONS, Scene, express
from fer_core.heads.actions import SHOWN_BY, Mouth, actions_of, unit_of, unpaired, usual_mouth
from fer_core.lab.answers import Progress, acting, answers, check, person_scene
from fer_core.lab.paired import differences

if TYPE_CHECKING:
    from fer_core.serving.predictor import LoadedNetwork

PEOPLE = 20
NAMES = {25: "lips part", 23: "lip tightener", 24: "lip pressor", 26: "jaw drop", 27: "mouth stretch"}


@dataclass(frozen=True, eq=False)
class Muscles:
    """What a network answered to every coalition of an expression's action units.

    Attributes:
        network: its title.
        units: action unit by FACS -> its strength in the full expression, 0 to 1.
        worth: (people, 2 ** units) probability of the expression; bit i of the column says whether unit i acts.
    """

    network: str
    expression: str
    mouth: Mouth
    units: dict[int, float]
    worth: NDArray[np.float64]

    @property
    def people(self) -> int:
        return len(self.worth)

    def table(self) -> pd.DataFrame:
        """One row a unit: `unit` (its number in FACS), `name`, `strength`, and, in shares of probability, means over people:

        `alone` (the unit on a neutral face, less the neutral face), `without` (what the full expression loses without it),
        and `difference` (its Shapley value) with `low`, `high` (95 %), `p` and `p_adjusted` (t test, Holm; units and pairs are
        two families).
        """
        full = self.worth.shape[1] - 1
        named = pd.DataFrame(
            {
                "unit": unit,
                "name": title(unit),
                "strength": strength,
                "alone": (self.worth[:, 1 << i] - self.worth[:, 0]).mean(),
                "without": (self.worth[:, full] - self.worth[:, full ^ (1 << i)]).mean(),
            }
            for i, (unit, strength) in enumerate(self.units.items())
        )
        return pd.concat([named, differences(shapley(self.worth), families=2)], axis=1)

    def pairs(self) -> pd.DataFrame:
        """One row a pair of units, on a neutral face: what both together add beyond what each adds alone.

        Returns:
            `unit`, `other`, `difference`, `low`, `high`, `p` and `p_adjusted` (Holm over the pairs; as `table`).
        """
        chosen = list(combinations(range(len(self.units)), 2))
        if not chosen:
            return pd.DataFrame(columns=["unit", "other", "difference", "low", "high", "p", "p_adjusted"])
        w, numbers = self.worth, list(self.units)
        extra = [w[:, 1 << i | 1 << j] - w[:, 1 << i] - w[:, 1 << j] + w[:, 0] for i, j in chosen]
        named = pd.DataFrame([{"unit": numbers[i], "other": numbers[j]} for i, j in chosen])
        return pd.concat([named, differences(np.stack(extra, 1), families=2)], axis=1)

    def tables(self) -> dict[str, pd.DataFrame]:
        """`units` as `table`, and `pairs`."""
        return {"units": self.table(), "pairs": self.pairs()}

    def sentence(self) -> str:
        """The units that count, strongest first, and those of the expression for which no effect is shown."""
        table = self.table().sort_values("difference", ascending=False, key=np.abs)
        rest, whole = self.worth[:, 0].mean(), self.worth[:, -1].mean()
        start = (
            f"{self.network}: from a neutral face to a full {self.expression} expression (mouth {self.mouth}, {self.people} "
            f"people), the probability of {self.expression} goes from {100 * rest:.1f} to {100 * whole:.1f} %."
        )
        counted = table[table["p_adjusted"] <= 0.05]
        said = [
            f"{row['name']} (AU{row['unit']}) {100 * row['difference']:+.1f} points "
            f"({Interval(row['low'], row['high']).text()})"
            for _, row in counted.iterrows()
        ]
        others = [f"{row['name']} (AU{row['unit']})" for _, row in table[table["p_adjusted"] > 0.05].iterrows()]
        if said:
            start += f" Shares of this change: {'; '.join(said)}."
        return start + (f" No significant share: {', '.join(others)}." if others else "")


def title(unit: int) -> str:
    """What an action unit does, as “lip corner puller”."""
    return NAMES[unit] if unit in NAMES else unit_of(next(iter(SHOWN_BY[unit]))).title


def units_of(expression: str, mouth: Mouth | None = None) -> dict[int, float]:
    """The action units that at least half of the people show, with their strength in the full expression.

    Raises:
        UnknownName: there is no such expression.
        ConfigError: it has no units, as neutral.
    """
    if expression not in EXPRESSIONS:
        raise UnknownName("expression of a head", expression, EXPRESSIONS)
    parts = getattr(EXPRESSIONS[expression], mouth or usual_mouth(expression))
    found = {part.unit: part.strength for part in parts if part.chance >= 0.5}
    if not found:
        raise ConfigError(
            f"The expression {expression} has no action units to take away; choose one in which the face moves."
        )
    return found


def scenes(expression: str, people: int = PEOPLE, mouth: Mouth | None = None, seed: int = 0) -> list[list[Scene]]:
    """One list a person: the scenes of all coalitions, in the order of `Muscles.worth`.

    Raises:
        UnknownName, ConfigError: as `units_of`.
    """
    units = units_of(expression, mouth)
    full = unpaired(express(expression, 1.0, mouth=mouth))
    coalitions = []
    for number in range(2 ** len(units)):
        chosen = {unit: strength for i, (unit, strength) in enumerate(units.items()) if number >> i & 1}
        actions = unpaired(actions_of(chosen))
        coalitions.append({name: amount for name, amount in actions.items() if name in full})
    return [[acting(person_scene(one, seed), actions) for actions in coalitions] for one in range(people)]


def measure(
    network: LoadedNetwork,
    expression: str,
    people: int = PEOPLE,
    mouth: Mouth | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Muscles:
    """Measure every coalition of an expression's action units; what was measured before is taken from the workspace.

    Raises:
        UnknownName: the network, or the heads, do not know the expression.
        ConfigError: too few people, or an expression without units.
        CheckpointError: the network's output is not finite.
    """
    check(network, expression, people)
    units = units_of(expression, mouth)
    probs = answers(network, scenes(expression, people, mouth, seed), progress)
    worth = probs[:, :, network.card.expressions.index(expression)]
    return Muscles(network.card.title, expression, mouth or usual_mouth(expression), units, worth)


def shapley(worth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Exact Shapley values (games, k) of games given by the worth of all coalitions (games, 2 ** k).

    A player's value is the mean of what it adds to the coalitions without it, each size counting alike; the values of a game
    add up to the worth of all less that of none.
    """
    k = worth.shape[1].bit_length() - 1
    numbers = np.arange(worth.shape[1])
    sizes = sum((numbers >> i & 1 for i in range(k)), start=np.zeros_like(numbers))
    values = np.empty((len(worth), k))
    for i in range(k):
        without = numbers[numbers >> i & 1 == 0]
        weights = np.array([1 / (k * comb(k - 1, int(size))) for size in sizes[without]])
        values[:, i] = (worth[:, without | 1 << i] - worth[:, without]) @ weights
    return values
