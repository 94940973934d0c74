"""Facial actions, the action units that they are, and the expressions that they make.

An action bears its ARKit name (`mouthSmileLeft`) or, for both sides at once, the name without a side (`mouthSmile`). Each
is the work of one action unit of the Facial Action Coding System:

    P. Ekman, W. V. Friesen, J. C. Hager, *Facial Action Coding System. Manual* and *Investigator's Guide*, 2002.

Which units make an expression: the prototypes of the *Investigator's Guide* (chapter 12) and W. V. Friesen, P. Ekman,
*EMFACS-7*, 1983. How often people add a unit: S. Du, Y. Tao, A. M. Martinez, *Compound facial expressions of emotion*,
PNAS 111 (2014), table 1, which shares are given here as chances.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from fer_core.errors import ConfigError, UnknownName

Mouth = Literal["open", "closed"]


class Unit(NamedTuple):
    """An action unit: its number (None where FACS has none), what it does, and the part of the face that it moves most."""

    number: int | None
    title: str
    part: str


# Action without its side -> action unit. The one table between ARKit's names and FACS.
UNITS: dict[str, Unit] = {
    "browInnerUp": Unit(1, "inner brow raiser", "brows"),
    "browOuterUp": Unit(2, "outer brow raiser", "brows"),
    "browDown": Unit(4, "brow lowerer", "brows"),
    "eyeWide": Unit(5, "upper lid raiser", "eyes"),
    "cheekSquint": Unit(6, "cheek raiser", "eyes"),
    "eyeSquint": Unit(7, "lid tightener", "eyes"),
    "noseSneer": Unit(9, "nose wrinkler", "nose"),
    "mouthUpperUp": Unit(10, "upper lip raiser", "mouth"),
    "mouthSmile": Unit(12, "lip corner puller", "mouth"),
    "mouthDimple": Unit(14, "dimpler", "mouth"),
    "mouthFrown": Unit(15, "lip corner depressor", "mouth"),
    "mouthLowerDown": Unit(16, "lower lip depressor", "mouth"),
    "mouthShrugLower": Unit(17, "chin raiser", "mouth"),
    "mouthShrugUpper": Unit(17, "chin raiser, the upper lip's part", "mouth"),
    "mouthPucker": Unit(18, "lip pucker", "mouth"),
    "tongueOut": Unit(19, "tongue show", "mouth"),
    "mouthStretch": Unit(20, "lip stretcher", "mouth"),
    "mouthFunnel": Unit(22, "lip funneler", "mouth"),
    "mouthPress": Unit(24, "lip pressor (23, lip tightener, looks alike here)", "mouth"),
    "jawOpen": Unit(26, "jaw drop (27, mouth stretch, above about 0.7)", "mouth"),
    "mouthRollLower": Unit(28, "lip suck, the lower lip", "mouth"),
    "mouthRollUpper": Unit(28, "lip suck, the upper lip", "mouth"),
    "jawForward": Unit(29, "jaw thrust", "mouth"),
    "jaw": Unit(30, "jaw sideways", "mouth"),
    "cheekPuff": Unit(34, "cheek puff", "cheeks"),
    "eyeBlink": Unit(43, "eye closure", "eyes"),
    "eyeLookOut": Unit(61, "eyes turn (61 left, 62 right)", "eyes"),
    "eyeLookIn": Unit(62, "eyes turn (61 left, 62 right)", "eyes"),
    "eyeLookUp": Unit(63, "eyes up", "eyes"),
    "eyeLookDown": Unit(64, "eyes down", "eyes"),
    "mouthClose": Unit(8, "lips toward each other over an open jaw", "mouth"),
    "mouth": Unit(None, "mouth sideways", "mouth"),
}
_ONE_SIDED = {"jawLeft": "jaw", "jawRight": "jaw", "mouthLeft": "mouth", "mouthRight": "mouth"}
_WHOLE = {  # actions that have no sides
    "browInnerUp", "cheekPuff", "jawForward", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthRollLower",
    "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "tongueOut",
}  # fmt: skip
ACTIONS: tuple[str, ...] = tuple(
    sorted(
        [*_WHOLE, *_ONE_SIDED]
        + [name + side for name in UNITS if name not in _WHOLE | {"jaw", "mouth"} for side in ("Left", "Right")]
    )
)
PAIRED: tuple[str, ...] = tuple(name for name in UNITS if name not in _WHOLE | {"jaw", "mouth"})

# Action unit -> the actions that show it, and how far each goes at full intensity.
SHOWN_BY: dict[int, dict[str, float]] = {
    1: {"browInnerUp": 1.0},
    2: {"browOuterUp": 1.0},
    4: {
        "browDown": 1.0,
        "noseSneer": 0.3,
    },  # the corrugator also draws the brows together, as the shape of noseSneer does
    5: {"eyeWide": 1.0},
    6: {"cheekSquint": 1.0},
    7: {"eyeSquint": 1.0},
    9: {"noseSneer": 1.0},
    10: {"mouthUpperUp": 1.0},
    12: {"mouthSmile": 1.0},
    14: {"mouthDimple": 1.0},
    15: {"mouthFrown": 1.0},
    16: {"mouthLowerDown": 1.0},
    17: {"mouthShrugLower": 1.0, "mouthShrugUpper": 0.4},
    20: {"mouthStretch": 1.0},
    23: {"mouthRollUpper": 0.4, "mouthRollLower": 0.35, "mouthPucker": 0.2},
    24: {"mouthPress": 0.2, "mouthRollLower": 0.5, "mouthRollUpper": 0.5},  # mouthPress alone lifts the corners
    25: {"jawOpen": 0.16, "mouthUpperUp": 0.35, "mouthLowerDown": 0.4},
    26: {"jawOpen": 0.55},
    27: {"jawOpen": 1.0},
}


class Part(NamedTuple):
    """A unit of an expression: its intensity at full strength, and the share of people who show it."""

    unit: int
    strength: float
    chance: float = 1.0


class Expression(NamedTuple):
    """How an expression shows with the mouth closed and with it open, and where that comes from."""

    closed: tuple[Part, ...]
    open: tuple[Part, ...]
    source: str


_GUIDE, _DU = "FACS Investigator's Guide", "Du, Tao and Martinez 2014"
EXPRESSIONS: dict[str, Expression] = {
    "angry": Expression(
        (Part(4, 1.0), Part(7, 0.6), Part(5, 0.4, 0.5), Part(24, 0.9), Part(17, 0.5, 0.52), Part(23, 0.5, 0.29),
         Part(9, 0.35, 0.4)),
        (Part(4, 1.0), Part(7, 0.5), Part(5, 0.5, 0.5), Part(10, 0.7), Part(9, 0.5, 0.5), Part(25, 0.9), Part(16, 0.6),
         Part(26, 0.4, 0.4)),
        f"4+5+7+17+23/24 closed, 4+5+7+10+22/23+25/26 open ({_GUIDE}); chances of 17 and 23: {_DU}",
    ),
    "disgust": Expression(
        (Part(9, 1.0), Part(10, 0.6), Part(17, 0.7), Part(4, 0.5, 0.31), Part(15, 0.4, 0.4), Part(7, 0.5, 0.6)),
        (Part(9, 1.0), Part(10, 1.0), Part(16, 0.6), Part(25, 0.8), Part(4, 0.5, 0.31), Part(7, 0.6, 0.6),
         Part(26, 0.35, 0.4)),
        f"9/10+17 closed, 9/10+16+25/26 open ({_GUIDE}); chance of 4: {_DU}",
    ),
    "fear": Expression(
        (Part(1, 1.0), Part(2, 0.7, 0.7), Part(4, 0.5), Part(5, 1.0), Part(20, 0.9)),
        (Part(1, 1.0), Part(2, 0.7, 0.7), Part(4, 0.5), Part(5, 1.0), Part(20, 1.0), Part(25, 1.0), Part(26, 0.3, 0.5)),
        f"1+2+4+5+20+25/26 ({_GUIDE}); {_DU} saw 2 in 57, 5 in 63 and 26 in 33 of 100 people",
    ),
    "happy": Expression(
        (Part(12, 0.9), Part(6, 0.7, 0.6), Part(14, 0.2, 0.2)),
        (Part(12, 1.0), Part(6, 0.8, 0.8), Part(25, 1.0), Part(10, 0.8), Part(26, 0.4, 0.3)),
        f"6+12, open with 25 or 26 ({_GUIDE}); {_DU} saw 6 in 51 of 100 people",
    ),
    "sad": Expression(
        (Part(1, 1.0, 0.85), Part(4, 0.55), Part(15, 1.0), Part(17, 0.7, 0.67), Part(6, 0.3, 0.5), Part(64, 0.4, 0.3)),
        (Part(1, 1.0, 0.85), Part(4, 0.55), Part(15, 1.0), Part(25, 0.6), Part(20, 0.3, 0.3), Part(6, 0.4, 0.5)),
        f"1+4+15 with 17 or 25, the eyes down at times ({_GUIDE}); {_DU} saw 1 in 60, 17 in 67 and 6 in 50 of 100 people",
    ),
    "surprise": Expression(
        (Part(1, 1.0), Part(2, 1.0), Part(5, 0.9)),
        (Part(1, 1.0), Part(2, 1.0), Part(5, 0.9, 0.8), Part(26, 1.0), Part(27, 0.75, 0.6)),
        f"1+2+5+26/27 ({_GUIDE}); {_DU} saw 5 in 66 of 100 people",
    ),
    "neutral": Expression((), (Part(25, 0.45),), "no unit; open: the lips part at rest"),
    "contempt": Expression(
        (Part(14, 1.0), Part(12, 0.35)),
        (Part(14, 1.0), Part(10, 0.5), Part(25, 0.4)),
        "one-sided 14, with 12 or 10 on the same side (EMFACS-7)",
    ),
}  # fmt: skip
SHOWN_BY[64] = {"eyeLookDown": 1.0}


# What the shape of an action is multiplied with, so that 1 is as far as a face goes (FACS's intensity E): the Face Units are
# moderate here. A raised brow rises by some 9 mm, lips' corners fall by 9 mm.
REACH: dict[str, float] = {
    "browInnerUp": 1.7, "browOuterUp": 1.3, "browDown": 1.25, "eyeWide": 1.2, "noseSneer": 1.35, "mouthFrown": 1.4,
    "mouthStretch": 1.15, "mouthShrugLower": 1.15,
}  # fmt: skip


def reached(actions: Mapping[str, float]) -> dict[str, float]:
    """Weights of the head model's shapes for actions by ARKit's names."""
    return {
        name: amount * REACH.get(name.removesuffix("Left").removesuffix("Right"), 1.0)
        for name, amount in actions.items()
    }


def express(
    expression: str, intensity: float = 0.8, *, mouth: Mouth | None = None, seed: int | None = None
) -> dict[str, float]:
    """The actions of an expression, each 0 to 1, by names that a `Scene` takes.

    Args:
        expression: a key of `EXPRESSIONS`.
        intensity: 0 (at rest) to 1 (as strong as it gets).
        mouth: open or closed; without it, the expression's usual one, or by chance where a seed is given.
        seed: how one person shows it on one occasion: which of the optional units, how strongly, how evenly. Without it,
            units that at least half of the people show, at full strength.

    Raises:
        UnknownName: there is no such expression; the nearest is named.
        ConfigError: the intensity is not within 0 and 1, or the mouth neither open nor closed.
    """
    if expression not in EXPRESSIONS:
        raise UnknownName("expression of a head", expression, EXPRESSIONS)
    if not 0 <= intensity <= 1:
        raise ConfigError(
            f"The intensity of an expression runs from 0 to 1, found {intensity:g}; choose a value between."
        )
    if mouth not in ("open", "closed", None):
        raise ConfigError(f"A mouth is open or closed, found “{mouth}”; give one of the two.")
    rng = None if seed is None else np.random.default_rng((seed, 0xFACE))
    if mouth is None:
        mouth = usual_mouth(expression) if rng is None else ("open" if rng.random() < OPEN[expression] else "closed")
    units: dict[int, float] = {}
    for unit, strength, chance in getattr(EXPRESSIONS[expression], mouth):
        shown = chance >= 0.5 if rng is None else rng.random() < chance
        varied = 1.0 if rng is None else float(rng.uniform(0.75, 1.15))
        if shown:
            units[unit] = min(1.0, strength * varied * intensity)
    return _one_sided(expression, _sides(actions_of(units), rng), rng)


# Share of the people who open the mouth.
OPEN: dict[str, float] = {
    "angry": 0.4, "disgust": 0.5, "fear": 0.8, "happy": 0.7, "sad": 0.25, "surprise": 0.85, "neutral": 0.15, "contempt": 0.15,
}  # fmt: skip


def usual_mouth(expression: str) -> Mouth:
    """Open where most people open it."""
    return "open" if OPEN[expression] > 0.5 else "closed"


def actions_of(units: Mapping[int, float]) -> dict[str, float]:
    """Action units with intensities as actions; where two units share an action, the stronger counts.

    Raises:
        UnknownName: no action shows the unit.
    """
    actions: dict[str, float] = {}
    for unit, amount in units.items():
        if unit not in SHOWN_BY:
            raise UnknownName("action unit", str(unit), map(str, SHOWN_BY))
        for name, share in SHOWN_BY[unit].items():
            actions[name] = max(actions.get(name, 0.0), amount * share)
    return actions


def _sides(actions: Mapping[str, float], rng: np.random.Generator | None) -> dict[str, float]:
    """Paired actions side by side; with a random stream, one side a little stronger."""
    both: dict[str, float] = {}
    for name, amount in actions.items():
        if name not in PAIRED:
            both[name] = amount
            continue
        tilt = 0.0 if rng is None else float(np.clip(rng.normal(0, 0.05), -0.15, 0.15))
        both[f"{name}Left"], both[f"{name}Right"] = min(1.0, amount * (1 + tilt)), min(1.0, amount * (1 - tilt))
    return both


def _one_sided(expression: str, actions: dict[str, float], rng: np.random.Generator | None) -> dict[str, float]:
    """Contempt shows on one side only."""
    if expression != "contempt":
        return actions
    still = "Right" if rng is None or rng.random() < 0.5 else "Left"
    return {name: amount for name, amount in actions.items() if not name.endswith(still)}


def unpaired(actions: Mapping[str, float]) -> dict[str, float]:
    """Actions by ARKit's names: a paired name stands for both sides.

    Raises:
        UnknownName: there is no such action; the nearest is named.
    """
    found: dict[str, float] = {}
    for name, amount in actions.items():
        if name in PAIRED:
            found[f"{name}Left"] = found[f"{name}Right"] = amount
        elif name in ACTIONS:
            found[name] = amount
        else:
            raise UnknownName("facial action", name, [*ACTIONS, *PAIRED])
    return found


def unit_of(action: str) -> Unit:
    """The action unit of an action.

    Raises:
        UnknownName: there is no such action; the nearest is named.
    """
    if action in PAIRED:
        return UNITS[action]
    if action not in ACTIONS:
        raise UnknownName("facial action", action, [*ACTIONS, *PAIRED])
    return UNITS[_ONE_SIDED.get(action) or action.removesuffix("Left").removesuffix("Right")]


def settled(actions: Mapping[str, float]) -> tuple[dict[str, float], list[str]]:
    """Actions that a face can show together, and a sentence for each that had to give way.

    Lips that press, roll in or close over the jaw cannot be apart at the same time, closed lids cannot be wide, and
    opposite directions exclude each other.
    """
    done, notes = dict(actions), []

    def lower(name: str, most: float, why: str) -> None:
        if done.get(name, 0.0) > most + 1e-9:
            notes.append(f"{name} was lowered from {done[name]:.2f} to {most:.2f}: {why}.")
            done[name] = most

    jaw = done.get("jawOpen", 0.0)
    lower("mouthClose", jaw, f"the lips close over a jaw that is open by {jaw:.2f}, no further")
    gap = jaw - done.get("mouthClose", 0.0)
    for name in ("mouthPressLeft", "mouthPressRight", "mouthRollLower", "mouthRollUpper"):
        lower(
            name, max(0.0, 1 - 4 * gap), f"the lips are apart (jawOpen {jaw:.2f}); closed lips need mouthClose as well"
        )
    for side in ("Left", "Right"):
        lower(f"eyeWide{side}", 1 - done.get(f"eyeBlink{side}", 0.0), "a closing lid cannot be wide")
        for one, other in (("eyeLookUp", "eyeLookDown"), ("eyeLookIn", "eyeLookOut")):
            lower(one + side, 1 - done.get(other + side, 0.0), f"{other}{side} looks the other way")
    for one, other in (("jawLeft", "jawRight"), ("mouthLeft", "mouthRight")):
        lower(one, 1 - done.get(other, 0.0), f"{other} pulls the other way")
    return done, notes
