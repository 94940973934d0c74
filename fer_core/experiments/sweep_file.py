"""A sweep file: which settings of a recipe are searched, over which values, and how (TOML)."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from fer_core.errors import ConfigError, UnknownName
from fer_core.recipe import RECIPES, About, Section, TrainConfig, load_recipe, toml_value

SWEEPS = RECIPES / "sweeps"


class Range(Section):
    """Numbers between two ends; whole ones where both ends are whole."""

    low: int | float
    high: int | float
    log: bool = Field(False, description="Draw the order of magnitude, as for a learning rate.")

    @model_validator(mode="after")
    def _to_draw_from(self) -> Range:
        if self.low > self.high:
            raise ValueError(f"low = {self.low:g} is above high = {self.high:g}; swap them")
        if self.log and self.low <= 0:
            raise ValueError(f"log = true, and low = {self.low:g} has no order of magnitude; take one above 0")
        return self

    @property
    def tried(self) -> list[int | float]:
        """Sample values with which the range of a setting is validated."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        return [self.low, self.high] if whole else [self.low, self.high, self.low + 0.618 * (self.high - self.low)]


class Sweep(Section):
    """Which settings of a recipe are searched, and how."""

    about: About = About()
    recipe: str = Field(description="Name or path of the recipe that all trials start from.")
    sampler: Literal["grid", "random", "tpe"] = "grid"
    pruner: Literal["none", "median", "halving"] = Field(
        "none", description="Ends a trial early: below the median of the others, or by successive halving."
    )
    trials: int = Field(0, ge=0, le=100_000, description="How many; 0 tries the whole grid.")
    seed: int = Field(0, ge=0, lt=2**31)
    settings: dict[str, Any] = Field(default_factory=dict, description="Settings that are the same in all trials.")
    space: dict[str, list[Any] | Range] = Field(description="Setting to the list of its values, or to low, high, log.")

    @property
    def grid(self) -> list[dict[str, str]]:
        """All combinations, the last setting changing fastest; each value as TOML writes it."""
        values = [
            list(dict.fromkeys(map(toml_value, choices)))  # a value that was written twice is tried once
            for choices in self.space.values()
            if isinstance(choices, list)
        ]
        return [dict(zip(self.space, combination, strict=True)) for combination in itertools.product(*values)]

    @property
    def total(self) -> int:
        """How many trials there will be; fewer where a small space is exhausted before."""
        return len(self.grid[: self.trials or None]) if self.sampler == "grid" else self.trials

    def config(self, values: dict[str, str]) -> TrainConfig:
        """The recipe of a trial.

        Args:
            values: setting to its value as TOML writes it.
        """
        fixed = [f"{name}={toml_value(value)}" for name, value in self.settings.items()]
        return load_recipe(self.recipe, [*fixed, *(f"{name}={value}" for name, value in values.items())])


def load_sweep(source: str | Path, recipe: Path | None = None) -> Sweep:
    """Read a sweep file by name or path. Every value that may be tried is checked against the recipe.

    Args:
        recipe: taken in the place of the one that the file names.

    Raises:
        ConfigError: unreadable TOML, an unknown key or setting, a value out of range.
    """
    path = sweep_files().get(str(source), Path(source))
    if not path.is_file():
        raise UnknownName("sweep file", str(source), sweep_files())
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        for part in ("settings", "space"):
            if isinstance(values.get(part), dict):
                values[part] = dict(_flat(values[part]))
        values |= {"recipe": str(recipe)} if recipe else {}
        sweep = Sweep.model_validate(values)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no valid TOML ({error}).") from error
    except ValidationError as error:
        said = "; ".join(
            f"{'.'.join(str(part) for part in e['loc'] if '[' not in str(part))}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
            if not (e["type"] == "list_type" and isinstance(e["input"], dict))  # it is meant as a range
        )
        raise ConfigError(f"{path}: {said}.") from error
    if not sweep.space or any(choices == [] for choices in sweep.space.values()):
        raise ConfigError(f"{path}: [space] needs a setting, and each at least one value.")
    if sweep.sampler == "grid" and any(isinstance(choices, Range) for choices in sweep.space.values()):
        raise ConfigError(f"{path}: a grid needs lists of values; take sampler = “random” or “tpe” for low and high.")
    if sweep.sampler != "grid" and not sweep.trials:
        raise ConfigError(f"{path}: sampler = “{sweep.sampler}” needs trials, how many to make.")
    for name, choices in sweep.space.items():
        for value in choices.tried if isinstance(choices, Range) else choices:
            if not sweep.config({name: toml_value(value)}).val_split:
                raise ConfigError(f"{path}: a sweep compares validation figures, and val_split is empty.")
    return sweep


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`optimizer.lr = …` in TOML is a table in a table; its name here is “optimizer.lr”."""
    for name, value in values.items():
        if isinstance(value, dict) and not {"low", "high"} <= value.keys():
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def sweep_files() -> dict[str, Path]:
    """The shipped sweep files by name."""
    return {path.stem: path for path in sorted(SWEEPS.glob("*.toml"))}
