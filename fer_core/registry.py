"""One small registry, used for data sets, networks, attribution methods, face detectors, corruptions and metrics.

An entry is added by a decorator in the one file that owns it; every file of the package is imported at the first
access, so adding a file is enough.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from fer_core.errors import UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """Named entries of one kind, found by importing every module of `package` at the first access.

    Args:
        ordered: keep the order of registration, where it is the one to show; else names are sorted.
    """

    def __init__(self, kind: str, package: str, *, ordered: bool = False) -> None:
        self.kind, self._ordered = kind, ordered
        self._package = package
        self._entries: dict[str, T] = {}
        self._loaded = False

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that adds an entry; a second entry of one name is a programming error (`ValueError`)."""

        def add(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._entries[name] = entry
            return entry

        return add

    def get(self, name: str) -> T:
        """The entry called `name`.

        Raises:
            UnknownName: with the nearest known name.
        """
        self._load()
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownName(self.kind, name, sorted(self._entries)) from None

    __getitem__ = get

    def names(self) -> list[str]:
        self._load()
        return list(self._entries) if self._ordered else sorted(self._entries)

    def items(self) -> Iterator[tuple[str, T]]:
        yield from ((name, self._entries[name]) for name in self.names())

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __len__(self) -> int:
        return len(self.names())

    def _load(self) -> None:
        if self._loaded:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        self._loaded = True
