"""Started by the workbench: say where the app is, and end with whoever started it."""

import signal
import sys
from contextlib import ExitStack, suppress

from dashboard.classroom.app import start
from dashboard.guard import Reach
from fer_core.classroom import address
from fer_core.errors import ConfigError

signal.signal(signal.SIGTERM, signal.default_int_handler)
with suppress(KeyboardInterrupt), ExitStack() as stack:
    try:
        stack.enter_context(start(Reach(address.PORT, "0.0.0.0")))
    except ConfigError:  # the usual port is taken
        stack.enter_context(start(Reach(0, "0.0.0.0")))
    print(address.known(), flush=True)
    sys.stdin.buffer.read()
