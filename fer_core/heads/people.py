"""People and circumstances, drawn from a seed.

Shares and ranges are chosen for variety, not to mirror a population: each ancestry is as frequent as the others, skin
follows ancestry loosely, and every local shape of the face varies.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import numpy as np

from fer_core.errors import ConfigError
from fer_core.heads.model import ANCESTRIES, load
from fer_core.heads.scene import Background, Brows, Camera, Hair, Light, Person, Pose, Skin

Draw = np.random.Generator

# Local shapes by the start of their names -> standard deviation, of the range -1 to 1.
_SPREAD: dict[str, float] = {
    "nose-": 0.32, "nose-trans": 0.12, "nose-point": 0.2, "nose-compression": 0.2, "nose-base": 0.22, "nose-greek": 0.15,
    "mouth-": 0.26, "mouth-trans": 0.12, "mouth-angles": 0.12, "mouth-scale-depth": 0.15, "mouth-dimples": 0.1,
    "mouth-laugh": 0.15, "chin-": 0.25, "chin-cleft": 0.2, "chin-jaw-drop": 0.15, "cheek-": 0.28, "eye-": 0.22,
    "eye-bag": 0.18, "eye-scale": 0.22, "eye-trans": 0.14, "eye-height": 0.16, "eye-push": 0.15, "eye-corner": 0.25,
    "ear-": 0.3, "eyebrows-": 0.22, "eyebrows-trans": 0.14, "forehead-": 0.14, "forehead-nubian": 0.08,
    "head-": 0.13, "head-trans": 0.0, "head-age": 0.0, "head-fat": 0.22, "head-scale": 0.18, "head-angle": 0.1,
    "neck-": 0.12, "measure-neck": 0.08, "neck-trans": 0.0, "asym-": 0.09,
}  # fmt: skip
_MEAN = {"mouth-angles-up": 0.3}  # the average shape frowns a little at rest
_CUTS = {
    "male": {
        "short": 0.34,
        "side": 0.2,
        "buzz": 0.15,
        "quiff": 0.09,
        "curly": 0.09,
        "bald": 0.07,
        "afro": 0.03,
        "long": 0.03,
    },
    "female": {"long": 0.31, "bob": 0.21, "tied": 0.25, "curly": 0.09, "short": 0.06, "side": 0.04, "afro": 0.04},
}
_COLOURS = {
    "african": {"black": 0.8, "dark brown": 0.18, "auburn": 0.02},
    "asian": {"black": 0.75, "dark brown": 0.22, "brown": 0.03},
    "caucasian": {
        "black": 0.1, "dark brown": 0.27, "brown": 0.24, "dark blond": 0.17, "blond": 0.11, "auburn": 0.06, "red": 0.05,
    },
}  # fmt: skip
_EYES = {
    "african": {"dark brown": 0.85, "brown": 0.15},
    "asian": {"dark brown": 0.8, "brown": 0.2},
    "caucasian": {"dark brown": 0.15, "brown": 0.27, "hazel": 0.15, "green": 0.12, "blue": 0.22, "grey": 0.09},
}
_TONES = {"african": (5.6, 9.4), "asian": (2.0, 5.6), "caucasian": (1.4, 4.6)}


@lru_cache(64)
def draw_person(seed: int) -> Person:
    """A person; the same at every call with a seed.

    Args:
        seed: 0 or more.

    Raises:
        ConfigError: the seed is below 0.
    """
    if seed < 0:
        raise ConfigError(f"A person's seed is 0 or more, found {seed}; give such a number.")
    rng = np.random.default_rng((seed, 1))
    sex = float(np.clip(rng.choice([0.04, 0.96]) + rng.normal(0, 0.07), 0, 1))
    age = float(np.clip(17 + rng.gamma(2.0, 9.5), 17, 78))
    main = str(rng.choice(ANCESTRIES))
    shares = dict(zip(ANCESTRIES, (0.12 * rng.dirichlet((0.5, 0.5, 0.5))).tolist(), strict=True))
    shares[main] += 0.88
    if rng.random() < 0.15:
        shares[str(rng.choice(ANCESTRIES))] += float(rng.uniform(0.3, 0.9))
    total = sum(shares.values())
    shares = {name: min(share / total, 1.0) for name, share in shares.items()}
    male = sex < 0.5
    hair = _hair(rng, male, age, main)
    look = _beard(rng, male, age)
    return Person(
        sex=sex,
        age=age,
        weight=float(np.clip(rng.normal(0.5, 0.18), 0.08, 0.95)),
        **shares,
        shape=_shape(rng),
        skin=_skin(rng, male, age, shares),
        hair=hair,
        brows=Brows(
            thickness=float(np.clip(rng.normal(0.58 if male else 0.30, 0.16), 0, 1)),
            density=float(rng.uniform(0.55, 1)),
            arch=float(np.clip(rng.normal(0.3 if male else 0.5, 0.2), 0, 1)),
            height=float(np.clip(rng.normal(-0.15 if male else 0.1, 0.3), -1, 1)),
        ),
        lashes=float(np.clip(rng.normal(0.35 if male else 0.7, 0.15), 0, 1)),
        iris=_pick(rng, _EYES[main]),
        lips=float(
            np.clip(rng.normal(0.22, 0.08) if male else rng.choice([0.35, 0.45, 0.8], p=[0.55, 0.25, 0.2]), 0, 1)
        ),
        beard=look,
        beard_density=float(rng.uniform(0.45, 1)),
        glasses=str(rng.choice(["round", "square", "thin"])) if rng.random() < (0.08 if age < 45 else 0.2) else "none",
        clothes=tuple(rng.uniform(0.08, 0.85, 3).tolist()),
        pattern=int(rng.integers(1_000_000)),
    )


def _pick(rng: Draw, shares: dict[str, float]) -> Any:
    weights = np.array(list(shares.values()))
    return str(rng.choice(list(shares), p=weights / weights.sum()))


@cache
def _spreads() -> dict[str, float]:
    """Local shape without its side -> standard deviation; the longest start of its name that is listed counts."""
    found = {}
    for name in load().local_shapes:
        plain = name[2:] if name.startswith(("l-", "r-")) else name
        starts = [start for start in _SPREAD if plain.startswith(start)]
        found[plain] = _SPREAD[max(starts, key=len)] if starts else 0.0
    return found


def _shape(rng: Draw) -> dict[str, float]:
    """Both sides get nearly the same; nobody is wholly symmetric."""
    known = set(load().local_shapes)
    shape = {}
    for name, spread in _spreads().items():
        amount = float(np.clip(rng.normal(0, spread), -2.2 * spread, 2.2 * spread)) if spread else 0.0
        amount += _MEAN.get(name, 0.0)
        for side in ("", "l-", "r-"):
            if side + name in known:
                lopsided = amount + (float(rng.normal(0, 0.12 * spread)) if side else 0.0)
                shape[side + name] = float(np.clip(lopsided, -1, 1))
    return {name: round(amount, 4) for name, amount in shape.items() if abs(amount) > 0.005}


def _skin(rng: Draw, male: bool, age: float, shares: dict[str, float]) -> Skin:
    total = sum(shares.values())
    low = sum(shares[name] * _TONES[name][0] for name in ANCESTRIES) / total
    high = sum(shares[name] * _TONES[name][1] for name in ANCESTRIES) / total
    tone = float(rng.uniform(low, high))
    freckled = rng.random() < (0.3 if tone < 3.2 else 0.04)
    return Skin(
        tone=tone,
        redness=float(rng.uniform(0.1, 0.85)),
        freckles=float(rng.uniform(0.2, 0.9)) if freckled else 0.0,
        blemishes=float(rng.uniform(0.05, 0.6)),
        wrinkles=float(np.clip((age - 20) / 62 + rng.normal(0, 0.08), 0.02, 1)),
        shine=float(rng.uniform(0.15, 0.9)),
    )


def _hair(rng: Draw, male: bool, age: float, ancestry: str) -> Hair:
    cuts = dict(_CUTS["male" if male else "female"])
    if ancestry == "african":
        cuts |= {"afro": 0.22, "buzz": 0.3 if male else 0.08, "curly": 0.18, "side": 0.0, "quiff": 0.0}
    if ancestry == "asian":
        cuts |= {"afro": 0.0, "curly": 0.03}
    if male and age > 45:
        cuts["bald"] = 0.25
    cut = _pick(rng, cuts)
    lost = float(np.clip(rng.normal((age - 30) / 60, 0.22), 0, 1)) if male else 0.0
    fringe = (
        float(rng.uniform(0.35, 0.8))
        if cut in ("bob", "long", "short") and rng.random() < (0.12 if male else 0.33)
        else 0
    )
    return Hair(
        cut=cut,
        colour=_pick(rng, _COLOURS[ancestry]),
        greying=float(np.clip(rng.normal((age - 42) / 35, 0.15), 0, 1)),
        volume=float(rng.uniform(0.2, 0.9)),
        recession=0.0 if fringe else lost,
        hairline=float(np.clip(rng.normal(0, 0.4), -1, 1)),
        parting=float(rng.uniform(-0.7, 0.7)),
        fringe=fringe,
    )


def _beard(rng: Draw, male: bool, age: float) -> str:
    if not male or age < 20:
        return "none"
    return str(rng.choice(["none", "stubble", "moustache", "goatee", "full"], p=[0.52, 0.22, 0.05, 0.08, 0.13]))


# ------------------------------------------------------------------------------------------ circumstances


def draw_pose(rng: Draw) -> Pose:
    """Mild: most heads within 15 degrees of the camera's axis, none beyond 28."""
    return Pose(
        yaw=float(np.clip(rng.normal(0, 9), -28, 28)),
        pitch=float(np.clip(rng.normal(-1, 6), -18, 16)),
        roll=float(np.clip(rng.normal(0, 5), -16, 16)),
    )


def draw_light(rng: Draw) -> Light:
    """From a window, a lamp or the sky."""
    return Light(
        azimuth=float(rng.uniform(-65, 65)),
        elevation=float(rng.uniform(5, 65)),
        key=float(rng.uniform(0.6, 1.1)),
        fill=float(rng.uniform(0.35, 0.8)),
        softness=float(rng.uniform(0.1, 1)),
        warmth=float(np.clip(rng.normal(0.1, 0.3), -1, 1)),
    )


def draw_camera(rng: Draw, tone: float = 3.0) -> Camera:
    """A photo of a face that is cut out as detectors do; 0.18 to 0.225 m wide, of middling quality.

    Args:
        tone: of the skin; a camera exposes darker skin longer, though not by all that it takes.
    """
    wide, distance = float(rng.uniform(0.18, 0.225)), float(np.exp(rng.uniform(np.log(0.6), np.log(3))))
    return Camera(
        distance=distance,
        focal=36 * distance / wide,
        x=float(np.clip(rng.normal(0, 0.02), -0.08, 0.08)),
        y=float(np.clip(rng.normal(0, 0.02), -0.08, 0.08)),
        exposure=float(np.clip(rng.normal(-0.35, 0.3) + 0.22 * max(0.0, tone - 2.5), -1, 1.6)),
        blur=float(rng.choice([0.0, rng.uniform(0.003, 0.009)])),
        noise=float(min(rng.gamma(1.5, 1.0), 6)),
        jpeg=int(rng.integers(45, 96)) if rng.random() < 0.6 else None,
    )


def draw_background(rng: Draw) -> Background:
    """A wall, or an unsharp room."""
    first, second = rng.uniform(0.05, 0.9, 3), rng.uniform(0.05, 0.9, 3)
    grey = rng.uniform(0.3, 0.9)
    first, second = (grey * colour.mean() + (1 - grey) * colour for colour in (first, second))
    return Background(
        kind=_pick(rng, {"plain": 0.15, "gradient": 0.4, "blobs": 0.45}),
        colours=(tuple(first.tolist()), tuple(second.tolist())),
        pattern=int(rng.integers(1_000_000)),
    )
