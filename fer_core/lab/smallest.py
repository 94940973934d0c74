"""The smallest change: the smallest movement of a face that turns a network's answer into another.

The search is CMA-ES (N. Hansen, A. Ostermeier, *Completely derandomized self-adaptation in evolution strategies*, Evolutionary
Computation 9, 2001) over the actions of both sides, after each of them was tried alone. A found movement is thinned out:
actions that the answer does not need go back to where they were, and the rest goes back as far as the answer holds.

The size of a movement is the sum over its actions of the change times the action's weight. A weight is how far the full action
moves the surface (root mean square over the head), 1 for the average action. The search is no proof: a smaller movement may
exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.errors import ConfigError, UnknownName
from fer_core.evaluation.intervals import PERCENT, Interval, wilson_bounds
from fer_core.heads import Scene, express
from fer_core.heads.actions import UNITS, reached, unpaired
from fer_core.heads.model import load
from fer_core.lab.answers import Progress, acting, answer, before, check, image_for, kept, person_scene
from fer_core.lab.paired import mean_interval

if TYPE_CHECKING:
    from fer_core.serving.predictor import LoadedNetwork

PEOPLE, INTENSITY = 12, 0.8
STEPS = 11  # of a path, the face before and the face after among them
STARTS, ROUNDS = 3, 26  # searches, and generations of each
SIGMA = 0.2  # of the first generation, in shares of a full action
PENALTY = 5.0  # sizes that a logit of the wrong answer costs: more than any movement needs for one
ALONE = (0.0, 0.25, 0.5, 0.75, 1.0)  # tried of each action before the search
STILL = 0.04  # a smaller change of an action is none, or every action would move a little
SLACK = 1.15  # a movement goes this much further before it is thinned, or the last hair of each action would be needed
LEAST_WEIGHT = 0.2  # no action is free
MOVES = tuple(name for name in UNITS if name not in ("jaw", "mouth"))  # these two have a direction, not a side

Amounts = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Change:
    """A movement, and what the network answers on the way.

    Attributes:
        network: its title.
        to: the answer that was asked for.
        expressions: of the network.
        before, after: (moves,) actions of both sides, 0 to 1, in the order of `MOVES`.
        path: (STEPS, K) probabilities from before to after in equal steps.
    """

    network: str
    to: str
    expressions: tuple[str, ...]
    before: Amounts
    after: Amounts
    path: NDArray[np.float64]

    @property
    def turned(self) -> bool:
        """Whether the network's answer is the one asked for."""
        return self.expressions[int(self.path[-1].argmax())] == self.to

    @property
    def size(self) -> float:
        return float(weights() @ np.abs(self.after - self.before))

    def table(self) -> pd.DataFrame:
        """The actions that change, the largest share first: `action`, `unit`, `title`, `from`, `to`, `size`."""
        change = weights() * np.abs(self.after - self.before)
        rows = [
            {
                "action": name, "unit": UNITS[name].number, "title": UNITS[name].title, "from": self.before[i],
                "to": self.after[i], "size": change[i],
            }
            for i, name in enumerate(MOVES) if change[i] > 0
        ]  # fmt: skip
        columns = ["action", "unit", "title", "from", "to", "size"]
        return pd.DataFrame(rows, columns=columns).sort_values("size", ascending=False, ignore_index=True)

    def sentence(self) -> str:
        was = self.expressions[int(self.path[0].argmax())]
        if not self.turned:
            return f"{self.network}: no movement was found that turns {was} into {self.to}. It may exist; the search is no proof."
        if was == self.to:
            return f"{self.network} predicts {self.to} already: nothing has to move."
        parts = [
            f"{row['title']} (AU{row['unit']}) from {_full(row['from'])} to {_full(row['to'])}"
            for _, row in self.table().iterrows()
        ]
        return (
            f"{self.network}: {was} turns into {self.to} with a movement of {self.size:.2f} average full actions: "
            f"{'; '.join(parts)}."
        )


@dataclass(frozen=True, eq=False)
class Changes:
    """The smallest movements found on several people.

    Attributes:
        network: its title.
        shown: the expression of the heads.
        to: the answer that was asked for.
        changes: person -> the movement, of those whose expression the network predicts at first.
        people: asked.
    """

    network: str
    shown: str
    to: str
    changes: Mapping[int, Change]
    people: int

    def table(self) -> pd.DataFrame:
        """One row an action that moves: `action`, `unit`, `title`, `people` with a movement, `used` (by how many of them),
        `share` of them with `low`, `high` (95 %, Wilson), `change` (mean over those who use it, + for more)."""
        found = [change for change in self.changes.values() if change.turned]
        moved = np.array([change.after - change.before for change in found]).reshape(-1, len(MOVES))
        rows = []
        for i, name in enumerate(MOVES):
            used = moved[:, i] != 0
            if used.any():
                low, high = wilson_bounds(int(used.sum()), len(used))
                rows.append(
                    {
                        "action": name, "unit": UNITS[name].number, "title": UNITS[name].title, "people": len(used),
                        "used": int(used.sum()), "share": used.mean(), "low": float(low), "high": float(high),
                        "change": moved[used, i].mean(),
                    }
                )  # fmt: skip
        columns = ["action", "unit", "title", "people", "used", "share", "low", "high", "change"]
        return pd.DataFrame(rows, columns=columns).sort_values(
            ["used", "action"], ascending=[False, True], ignore_index=True
        )

    def tables(self) -> dict[str, pd.DataFrame]:
        """`actions` as `table`, and `people`: one row each with `person`, `turned`, `size` and every action's change."""
        rows = [
            {"person": person, "turned": change.turned, "size": change.size if change.turned else None}
            | dict(zip(MOVES, change.after - change.before, strict=True))
            for person, change in self.changes.items()
        ]
        return {
            "actions": self.table(),
            "people": pd.DataFrame(rows, columns=["person", "turned", "size", *MOVES]),
        }

    def sentence(self) -> str:
        right, start = len(self.changes), f"{self.network}, {self.shown} to {self.to}"
        if not right:
            return f"{start}: the network predicts {self.shown} on none of {self.people} heads, so there is nothing to turn."
        sizes = np.array([change.size for change in self.changes.values() if change.turned])
        start += f": a movement was found on {len(sizes)} of the {right} heads that it predicts as {self.shown}"
        if not len(sizes):
            return f"{start}. Smaller or other movements may exist; the search is no proof."
        if len(sizes) > 1:
            mean, low, high = (float(values[0]) for values in mean_interval(sizes[:, None]))
            start += (
                f", of {mean:.2f} average full actions in the mean ({Interval(max(0.0, low), high).text('.2f', 1)})"
            )
        often = [
            f"{'more' if row['change'] > 0 else 'less'} {row['title']} (AU{row['unit']}) on {row['used']}"
            for _, row in self.table().head(4).iterrows()
        ]
        return f"{start}. Used most: {', '.join(often)}."


@cache
def weights() -> Amounts:
    """(moves,) how far each full action of both sides moves the surface, 1 for their mean; read-only."""
    head = load()
    still = np.zeros_like(head.rest)
    far = [float(np.sqrt((head.act(still, reached(unpaired({name: 1.0}))) ** 2).sum(1).mean())) for name in MOVES]
    found: Amounts = np.maximum(np.array(far) / np.mean(far), LEAST_WEIGHT)
    found.setflags(write=False)
    return found


def amounts(actions: Mapping[str, float]) -> Amounts:
    """(moves,) of actions by ARKit's names: of a pair the mean of both sides."""
    both = unpaired(actions)
    return np.array([np.mean([both.get(one, 0.0) for one in unpaired({name: 1.0})]) for name in MOVES])


def _full(share: float) -> str:
    return f"{100 * share:.0f}{PERCENT}"


def moved_to(scene: Scene, after: Amounts) -> Scene:
    """The scene with these actions on both sides; those that `MOVES` does not hold stay."""
    others = {name: amount for name, amount in scene.actions.items() if name not in unpaired(dict.fromkeys(MOVES, 1.0))}
    return acting(
        scene, others | {name: float(amount) for name, amount in zip(MOVES, after, strict=True) if amount > 0}
    )


def find(network: LoadedNetwork, scene: Scene, to: str, seed: int = 0, progress: Progress | None = None) -> Change:
    """Search the smallest movement of a scene's face that makes the network answer `to`; a found one is kept.

    Args:
        seed: of the search.
        progress: called with the number of generations done and of all.

    Raises:
        UnknownName: the network does not know the expression.
        CheckpointError: the network's output is not finite.
    """
    known = list(network.card.expressions)
    if to not in known:
        raise UnknownName(f"expression of {network.card.name}", to, known)
    search = _Search(network, scene, known.index(to))
    after = kept(network, _key(scene, to, seed), (len(MOVES),), lambda: search.run(seed, progress))
    return search.change(after)


def look(network: LoadedNetwork, scene: Scene, to: str, seed: int = 0) -> Change | None:
    """What `find` found before; None where it was not asked yet."""
    after = before(network, _key(scene, to, seed), (len(MOVES),))
    return None if after is None else _Search(network, scene, network.card.expressions.index(to)).change(after)


def _key(scene: Scene, to: str, seed: int) -> tuple[str, ...]:
    return ("smallest", scene.model_dump_json(), to, str(seed), str(STARTS), str(ROUNDS))


def strip(scene: Scene, change: Change, size: int, images: int = 6) -> NDArray[np.uint8]:
    """(images, size, size, 3) the face on its way from before to after."""
    from fer_core.heads import render

    shares = np.linspace(0, 1, images)
    on_the_way = [moved_to(scene, change.before + x * (change.after - change.before)) for x in shares]
    return np.asarray(render(on_the_way, size, colour=True))


def measure(
    network: LoadedNetwork,
    expression: str,
    to: str,
    people: int = PEOPLE,
    seed: int = 0,
    progress: Progress | None = None,
) -> Changes:
    """The smallest movements that turn an expression on several people into another answer; what was found before is kept.

    Raises:
        UnknownName: the network, or the heads, do not know the expression.
        ConfigError: too few people, or both expressions are the same.
        CheckpointError: the network's output is not finite.
    """
    check(network, expression, people)
    if to not in network.card.expressions:
        raise UnknownName(f"expression of {network.card.name}", to, network.card.expressions)
    if to == expression:
        raise ConfigError(f"Both expressions are {to}; choose another one to turn it into.")
    shown, changes = express(expression, INTENSITY), {}
    for number in range(people):
        scene = acting(person_scene(number, seed), shown)
        probs = answer(network, scene)[1]
        if max(probs, key=probs.__getitem__) == expression:
            changes[number] = find(network, scene, to, seed)
        if progress is not None:
            progress(number + 1, people)
    return Changes(network.card.title, expression, to, changes, people)


class _Search:
    """The faces that are tried for one scene, each generation in one batch."""

    def __init__(self, network: LoadedNetwork, scene: Scene, to: int) -> None:
        self.network, self.scene, self.to = network, scene, to
        self.before = amounts(scene.actions)

    def probs(self, tried: Amounts) -> NDArray[np.float64]:
        """(n, K) of faces (n, moves)."""
        images = [image_for(moved_to(self.scene, one), self.network.card.image) for one in tried]
        return self.network.probs(np.stack(images))

    def change(self, after: Amounts) -> Change:
        shares = np.linspace(0, 1, STEPS)[:, None]
        path = self.probs(self.before + shares * (after - self.before))
        known = tuple(self.network.card.expressions)
        return Change(self.network.card.title, known[self.to], known, self.before, after, path)

    def gaps(self, tried: Amounts) -> NDArray[np.float64]:
        """(n,) logits that the best other answer is ahead by; below 0 where the answer is the one asked for."""
        logs = np.log(self.probs(tried).clip(1e-12))
        wanted = logs[:, self.to].copy()
        logs[:, self.to] = -np.inf
        return np.asarray(logs.max(1) - wanted)

    def turns(self, one: Amounts) -> bool:
        return bool(self.gaps(one[None])[0] < 0)

    def run(self, seed: int, progress: Progress | None) -> Amounts:
        """(moves,) the smallest movement found; where none turns the answer, the face before."""
        if self.turns(self.before):
            return self.before
        best = self._alone()
        least = np.inf if best is None else self._size(best)
        for number, start in enumerate(self._starts(seed)):
            done = number * ROUNDS

            def told(generation: int, done: int = done) -> None:
                if progress is not None:
                    progress(done + generation, STARTS * ROUNDS)

            found = self._from(start, seed + number, told)
            if found is not None:
                found = self._thinned(found)
                if self._size(found) < least:
                    best, least = found, self._size(found)
        return self.before if best is None else best

    def _size(self, after: Amounts) -> float:
        return float(weights() @ np.abs(after - self.before))

    def _alone(self) -> Amounts | None:
        """The smallest movement of one action; None where none turns the answer."""
        tried = np.tile(self.before, (len(MOVES), len(ALONE), 1))
        for i in range(len(MOVES)):
            tried[i, :, i] = ALONE
        tried = tried.reshape(-1, len(MOVES))
        turned = tried[self.gaps(tried) < 0]
        return self._shortened(min(turned, key=self._size)) if len(turned) else None

    def _starts(self, seed: int) -> list[Amounts]:
        """The face as it is, half-way to the usual expression of the answer asked for, and by chance near it."""
        name = self.network.card.expressions[self.to]
        try:
            usual = amounts(express(name, INTENSITY))
        except UnknownName:  # heads do not show it
            usual = self.before
        near = self.before + np.random.default_rng(seed).uniform(-0.3, 0.3, len(MOVES))
        return [self.before, (self.before + usual) / 2, near.clip(0, 1)]

    def _from(self, start: Amounts, seed: int, told: Callable[[int], None]) -> Amounts | None:
        """The smallest movement of one search; None where no face that was tried turns the answer."""
        import cma  # takes a second to import

        options = {"bounds": [0, 1], "seed": seed + 1, "maxiter": ROUNDS, "verbose": -9}
        search = cma.CMAEvolutionStrategy(start.clip(0.02, 0.98), SIGMA, options)
        best, least = None, np.inf
        for generation in range(ROUNDS):
            asked = search.ask()
            tried = np.where(np.abs(asked - self.before) < STILL, self.before, asked)
            gaps = self.gaps(tried)
            sizes = np.abs(tried - self.before) @ weights()
            search.tell(asked, list(sizes + PENALTY * gaps.clip(0)))
            turned = np.flatnonzero(gaps < 0)
            if len(turned) and sizes[turned].min() < least:
                best, least = tried[turned[sizes[turned].argmin()]], float(sizes[turned].min())
            told(generation + 1)
        return best

    def _thinned(self, found: Amounts) -> Amounts:
        """The movement without what the answer does not need, the least first, and as short as the answer holds."""
        further = (self.before + SLACK * (found - self.before)).clip(0, 1)
        after = further if self.turns(further) else found
        for i in np.argsort(weights() * np.abs(after - self.before)):
            without = after.copy()
            without[i] = self.before[i]
            if self.turns(without):
                after = without
        return self._shortened(after)

    def _shortened(self, after: Amounts) -> Amounts:
        """As much of a movement as the answer needs, to one part in 64."""
        low, high = 0.0, 1.0
        for _ in range(6):
            middle = (low + high) / 2
            low, high = (low, middle) if self.turns(self._part(after, middle)) else (middle, high)
        return self._part(after, high)

    def _part(self, after: Amounts, share: float) -> Amounts:
        return np.asarray(self.before + share * (after - self.before))
