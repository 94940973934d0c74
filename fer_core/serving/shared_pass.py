"""Faces of several users in one pass through a network: twenty passes of one face take twice as long as one of
twenty."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(eq=False)
class _Waiting:
    pictures: NDArray[np.uint8]
    how: str
    answer: Future[NDArray[np.float32]] = field(default_factory=Future)


class SharedPasses:
    """Combines simultaneous requests of several threads. A free network starts at once with all waiting requests; later
    ones form the next pass."""

    def __init__(self, answer: Callable[[NDArray[np.uint8], str], NDArray[np.float32]]) -> None:
        """
        Args:
            answer: (N, ...) images and how they are to be answered -> N answers.
        """
        self._answer = answer
        self._waiting: list[_Waiting] = []
        self._list, self._network = threading.Lock(), threading.Lock()

    def __call__(self, pictures: NDArray[np.uint8], how: str) -> NDArray[np.float32]:
        """The answers of these images, in their order; what `answer` raises is raised for all of a pass."""
        mine = _Waiting(pictures, how)
        with self._list:
            self._waiting.append(mine)
        with self._network:
            if not mine.answer.done():
                self._pass(how)
        return mine.answer.result()

    def _pass(self, how: str) -> None:
        with self._list:
            together = [one for one in self._waiting if one.how == how]
            self._waiting = [one for one in self._waiting if one.how != how]
        try:
            every = self._answer(np.concatenate([one.pictures for one in together]), how)
        except BaseException as error:
            for one in together:
                one.answer.set_exception(error)
            return
        start = 0
        for one in together:
            one.answer.set_result(every[start : start + len(one.pictures)])
            start += len(one.pictures)
