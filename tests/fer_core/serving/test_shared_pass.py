"""Faces of threads that ask at once go through the network together, and each gets its own answers."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fer_core.serving.shared_pass import SharedPasses


def doubled(sizes: list[int], ready: threading.Event):
    def answer(pictures, how):
        ready.wait(10)
        sizes.append(len(pictures))
        if how == "fails":
            raise ValueError("no")
        return pictures.astype(np.float32) * 2

    return answer


def test_those_who_ask_while_a_pass_runs_share_the_next_and_each_gets_its_own():
    sizes, ready = [], threading.Event()
    passes = SharedPasses(doubled(sizes, ready))
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(passes, np.full((1 + n % 3, 2), n, np.uint8), "flip") for n in range(20)]
        while len(passes._waiting) < 19:
            pass
        ready.set()
        for n, one in enumerate(asked):
            assert one.result().tolist() == [[2 * n] * 2] * (1 + n % 3)
    assert len(sizes) == 2
    assert sum(sizes) == sum(1 + n % 3 for n in range(20))


def test_other_ways_of_averaging_and_errors_do_not_mix():
    sizes, ready = [], threading.Event()
    ready.set()
    passes = SharedPasses(doubled(sizes, ready))
    with ThreadPoolExecutor(8) as pool:
        good = [pool.submit(passes, np.full((1, 1), n, np.uint8), "none") for n in range(20)]
        bad = [pool.submit(passes, np.zeros((1, 1), np.uint8), "fails") for _ in range(5)]
        assert [one.result()[0, 0] for one in good] == [2 * n for n in range(20)]
        for one in bad:
            with pytest.raises(ValueError, match="no"):
                one.result()
