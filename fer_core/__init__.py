"""The library of FERscope: data sets, networks, training, evaluation and explanation. No user interface in here.

For notebooks: `import fer_core as fer`, then `fer.load("fer2013-best")`, `fer.open_data(path)`, `fer.evaluate(network, data)`
and `fer.compare(a, b)`; see `fer_core.notebook`.
"""

from typing import Any

__version__ = "0.1.0"
NOTEBOOK = ("compare", "evaluate", "load", "networks", "open_data")


def __getattr__(name: str) -> Any:
    """The calls of a notebook, imported when they are first used."""
    if name in NOTEBOOK:
        from fer_core import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *NOTEBOOK])
