"""What a class of twenty waits for: `python -m tests.benchmarks.classroom`.

Twenty simulated students answer over HTTP, against one alone. Goal: where each looks at an image for half a second to one and
a half, the slowest answer is within 20 times the median of one. Without any pause it is told too: then all share what the
machine can do, so that 20 times is what each would wait if nothing else took time, the clients of this process included.
"""

import os
import random
import sys
import tempfile
import time
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

            def crowd(numbers: range, longest: float) -> list[float]:
                """The seconds of all answers of some students at once, sorted."""
                session = Session.create("crowd", "read", [item(at, one) for at, one in enumerate(truth)], FER7.names)

                def take_part(number: int) -> list[float]:
                    pupil = Pupil(f"http://127.0.0.1:{port}", f"Pupil {number}", 0.8)
                    pupil.join(session.code)
                    pupil.take_part(truth, number, lambda: time.sleep(longest * random.uniform(1 / 3, 1)))
                    return pupil.seconds[1:]

                with ThreadPoolExecutor(len(numbers)) as pool:
                    times = sorted(second for part in pool.map(take_part, numbers) for second in part)
                assert len(session.answers()) == len(numbers) * ITEMS
                return times

            crowd(range(1), 0)  # warms up
            one = median(crowd(range(1), 0))
            found = {
                words: crowd(range(CROWD), pause) for words, pause in (("with a look", 1.5), ("without a pause", 0.0))
            }
    print(f"one alone: {1000 * one:.1f} ms an answer")
    for words, times in found.items():
        print(
            f"{CROWD} at once {words}: median {1000 * median(times):.1f} ms, slowest {1000 * times[-1]:.1f} ms, "
            f"{times[-1] / one:.1f} x one"
        )
    print(f"goal: at most {FACTOR} x with a look")
    return int(found["with a look"][-1] / one > FACTOR)


if __name__ == "__main__":
    sys.exit(main())
