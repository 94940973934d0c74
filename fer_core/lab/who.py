"""Who is in the image: the same expression on the same head, with one property of the person changed.

What this can show: that a network's answer depends on a property of rendered heads, with everything else held still. What it
cannot show: how it treats groups of people. The shapes are an artist's idea of age, sex and ancestry, not a survey, and in
photos these go along with much that is held still here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.errors import ConfigError, UnknownName
from fer_core.evaluation.intervals import Interval
from fer_core.heads import Person, Scene, express
from fer_core.lab.answers import Progress, acting, answers, check, person_scene
from fer_core.lab.paired import differences

if TYPE_CHECKING:
    from fer_core.serving.predictor import LoadedNetwork

PEOPLE = 60
INTENSITY = 0.8
LIMITS = (
    "This shows whether the answer depends on a property of rendered heads while everything else stays the same. It does not "
    "show how the network treats groups of people: the shapes of age, sex and ancestry are an artist's idea, and in photos "
    "they go along with much that is held still here. "
    "The light and the camera stay the same too, so darker skin is darker in the image."
)


class Property(NamedTuple):
    """What is changed: its title, the two states in words, and the settings of a `Person` in each, “skin.tone” for nested."""

    title: str
    before: str
    after: str
    settings: tuple[dict[str, Any], dict[str, Any]]


def _ancestry(name: str) -> dict[str, float]:
    return {"african": 0.0, "asian": 0.0, "caucasian": 0.0} | {name: 1.0}


PROPERTIES: dict[str, Property] = {
    "age": Property("Age (shape of the head)", "25 years", "70 years", ({"age": 25.0}, {"age": 70.0})),
    "wrinkles": Property("Wrinkles", "none", "deep", ({"skin.wrinkles": 0.05}, {"skin.wrinkles": 0.9})),
    "sex": Property("Sex (shape of the head)", "male", "female", ({"sex": 0.0}, {"sex": 1.0})),
    "african": Property(
        "Ancestry (shape)", "Caucasian", "African", (_ancestry("caucasian"), _ancestry("african"))
    ),
    "asian": Property("Ancestry (shape)", "Caucasian", "Asian", (_ancestry("caucasian"), _ancestry("asian"))),
    "skin": Property("Skin tone (Monk scale)", "2", "8", ({"skin.tone": 2.0}, {"skin.tone": 8.0})),
    "weight": Property("Weight", "lean", "heavy", ({"weight": 0.2}, {"weight": 0.85})),
    "glasses": Property("Glasses", "none", "round", ({"glasses": "none"}, {"glasses": "round"})),
    "beard": Property("Beard", "none", "full", ({"beard": "none"}, {"beard": "full"})),
}  # fmt: skip
MAIN = ("age", "sex", "african", "asian", "skin")


@dataclass(frozen=True, eq=False)
class Who:
    """What a network answered.

    Attributes:
        network: its title.
        expression: what all heads show.
        properties: keys of `PROPERTIES`.
        expressions: of the network.
        probs: (people, properties, 2, K), before and after the change.
    """

    network: str
    expression: str
    properties: tuple[str, ...]
    expressions: tuple[str, ...]
    probs: NDArray[np.float64]

    @property
    def people(self) -> int:
        return len(self.probs)

    def table(self) -> pd.DataFrame:
        """One row for each property and answer: of an expression its own probability, of a neutral face every answer's.

        Returns:
            `property`, `title`, `from`, `to`, `answer`, `before` and `after` (mean probabilities), `difference` with `low` and
            `high` (95 %, paired over people), `p` and `p_adjusted` (Holm over all rows).
        """
        asked = self.expressions if self.expression == "neutral" else (self.expression,)
        rows, changes = [], []
        for number, name in enumerate(self.properties):
            what = PROPERTIES[name]
            for answer in asked:
                pair = self.probs[:, number, :, self.expressions.index(answer)]
                rows.append(
                    {
                        "property": name, "title": what.title, "from": what.before, "to": what.after, "answer": answer,
                        "before": pair[:, 0].mean(), "after": pair[:, 1].mean(),
                    }
                )  # fmt: skip
                changes.append(pair[:, 1] - pair[:, 0])
        return pd.concat([pd.DataFrame(rows), differences(np.stack(changes, 1))], axis=1)

    def tables(self) -> dict[str, pd.DataFrame]:
        """`changes` as `table`."""
        return {"changes": self.table()}

    def sentence(self) -> str:
        """The significant changes, largest first."""
        table = self.table()
        found = table[table["p_adjusted"] <= 0.05].sort_values("difference", ascending=False, key=np.abs)
        shown = "a neutral face" if self.expression == "neutral" else f"an expression of {self.expression}"
        start = f"{self.network}, {shown} on {self.people} heads"
        if not len(found):
            return f"{start}: no change of the person changes the answer significantly."
        said = [
            f"{row['title']} from {row['from']} to {row['to']} changes the probability of {row['answer']} by "
            f"{100 * row['difference']:+.1f} points ({Interval(row['low'], row['high']).text()})"
            for _, row in found.head(4).iterrows()
        ]
        more = f" {len(found) - 4} smaller changes are in the table." if len(found) > 4 else ""
        return f"{start}: {'; '.join(said)}.{more}"


def changed(person: Person, settings: dict[str, Any]) -> Person:
    """The same person with settings changed, “skin.tone” for one of the skin."""
    for name, value in settings.items():
        whole, _, part = name.rpartition(".")
        if whole:
            inner = getattr(person, whole)
            name, value = whole, type(inner)(**{**dict(inner), part: value})
        person = Person(**{**dict(person), name: value})
    return person


def scenes(expression: str, properties: Sequence[str] = MAIN, people: int = PEOPLE, seed: int = 0) -> list[list[Scene]]:
    """One list a person: for each property the scene before and after the change.

    Raises:
        UnknownName: there is no such expression or property.
        ConfigError: no property.
    """
    if not properties:
        raise ConfigError("There is no property to change; choose one or more.")
    for name in properties:
        if name not in PROPERTIES:
            raise UnknownName("property of a head", name, PROPERTIES)
    actions = express(expression, INTENSITY)
    units = []
    for number in range(people):
        scene = acting(person_scene(number, seed), actions)
        people_of = [changed(scene.person, state) for name in properties for state in PROPERTIES[name].settings]
        units.append([scene.model_copy(update={"person": person}) for person in people_of])
    return units


def measure(
    network: LoadedNetwork,
    expression: str,
    properties: Sequence[str] = MAIN,
    people: int = PEOPLE,
    seed: int = 0,
    progress: Progress | None = None,
) -> Who:
    """Measure paired changes; what was measured before is taken from the workspace.

    Raises:
        UnknownName: the network or the heads do not know the expression, or there is no such property.
        ConfigError: too few people, or no property.
        CheckpointError: the network's output is not finite.
    """
    check(network, expression, people)
    found = answers(network, scenes(expression, properties, people, seed), progress)
    probs = found.reshape(people, len(properties), 2, -1)
    return Who(network.card.title, expression, tuple(properties), tuple(network.card.expressions), probs)
