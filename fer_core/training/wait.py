"""The process of a run until its turn on the device has come: small, and then replaced by the training under the same
process id."""

from __future__ import annotations

import os
import sys

from fer_core.runs.folder import RunFolder, Stopped
from fer_core.training.launch import await_turn, command

if __name__ == "__main__":
    run = RunFolder.named(sys.argv[1])
    try:
        await_turn(run)
    except Stopped:
        sys.exit(0)
    arguments = command(run)
    os.execv(arguments[0], arguments)
