"""Started by the workbench, whose origins are the arguments: say where the app is, and end with whoever started it.

A closed standard input is the one sign of a parent's death that every system gives, also when it was killed.
"""

import signal
import sys
from contextlib import suppress

from dashboard.live.app import start

signal.signal(signal.SIGTERM, signal.default_int_handler)  # a plain `kill` ends like Ctrl-C: temporary files go too
with suppress(KeyboardInterrupt), start(framers=sys.argv[1:]) as live:
    print(live.local_url, flush=True)
    sys.stdin.buffer.read()
