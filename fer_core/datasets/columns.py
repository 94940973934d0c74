"""What a column of a data set's index says of an image, in words: “yaw above 6.4°” for numbers of `yaw`, “mouth open” for
the value “open” of `mouth`.

A layout declares its columns with `@reader(columns=...)`. A column that none declares is called by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """The words of a column.

    Attributes:
        title: what it says, as in “yaw”; a name's underscores are spaces.
        unit: behind a number, with its space if it has one: “°” or “ years”.
        values: value -> words, where “title value” would not be said: “none” of `glasses` is “no glasses”.
        meaning: a sentence for what a number stands for.
        acted: it says how the expression is shown, and so no more of the kind of image than the label does.
    """

    title: str
    unit: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    meaning: str = ""
    acted: bool = False

    def of_value(self, value: str) -> str:
        """“mouth open”, “no glasses”."""
        return self.values.get(value, f"{self.title} {value}")

    def of_range(self, above: float | None, low: float, high: float, last: bool) -> str:
        """The words of one of the parts that a column's numbers are cut into.

        Args:
            above: the largest number of the part below; None for the lowest part.
            low, high: the smallest and the largest number of the part.
            last: whether this is the highest part.
        """
        if above is None:
            return f"{self.title} up to {_number(high)}{self.unit}"
        if last:
            return f"{self.title} above {_number(above)}{self.unit}"
        return f"{self.title} {_number(low)} to {_number(high)}{self.unit}"


def column(name: str, declared: Mapping[str, Column]) -> Column:
    """A column's words: those declared, else its own name."""
    return declared.get(name) or Column(name.replace("_", " "))


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")
