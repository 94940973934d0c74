"""What a class of twenty waits for: `python -m tests.benchmarks.classroom`.

Twenty simulated students answer over HTTP at once, against one alone. Goal: the slowest answer of the crowd within 20 times
the median of one.
"""

import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import numpy as np

from fer_core.classroom.session import Session
from fer_core.labels import FER7
from tests.dashboard.classroom.students import Pupil, free_port, running
from tests.fer_core.classroom.test_session import item

CROWD, ITEMS, FACTOR = 20, 20, 20


def main() -> int:
    truth = [str(name) for name in np.random.default_rng(0).choice(FER7.names, ITEMS)]
    with tempfile.TemporaryDirectory() as home:
        os.environ["FERSCOPE_HOME"] = home
        port = free_port()
        with running(port):
            session = Session.create("crowd", "read", [item(at, one) for at, one in enumerate(truth)], FER7.names)

            def take_part(number: int) -> list[float]:
                pupil = Pupil(f"http://127.0.0.1:{port}", f"Pupil {number}", 0.8)
                pupil.join(session.code)
                pupil.take_part(truth, number)
                return pupil.seconds[1:]

            take_part(0)  # warms up
            one = median(take_part(1))
            with ThreadPoolExecutor(CROWD) as pool:
                times = sorted(second for part in pool.map(take_part, range(2, 2 + CROWD)) for second in part)
        kept = len(session.answers())
    print(
        f"one alone: {1000 * one:.1f} ms an answer; {CROWD} at once: median {1000 * median(times):.1f} ms, slowest "
        f"{1000 * times[-1]:.1f} ms, {times[-1] / one:.1f} x one; {kept} of {(2 + CROWD) * ITEMS} answers kept"
    )
    print(f"goal: at most {FACTOR} x")
    return int(times[-1] / one > FACTOR or kept != (2 + CROWD) * ITEMS)


if __name__ == "__main__":
    sys.exit(main())
