"""The `ferscope` command. Each command checks its input before it spends time, prints its figures as a table or, with
`--json`, as one JSON object, and ends with exit code 2 and one sentence where the input is at fault."""

from __future__ import annotations

import os
import pkgutil
import sys
from importlib import import_module
from importlib.metadata import entry_points

from rich.console import Console
from rich.markup import escape

from fer_core.errors import FerError, in_a_sentence
from trainers import commands
from trainers.console import app

for module in pkgutil.iter_modules(commands.__path__):
    import_module(f"{commands.__name__}.{module.name}")
for command in entry_points(group="ferscope.commands"):  # of packages that this one does not import
    app.command(command.name)(command.load())


def main() -> None:
    """Run the command line; an expected error is one sentence on stderr and exit code 2."""
    try:
        app()
    except FerError as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold]Error:[/bold] {escape(str(error))}", highlight=False)
        sys.exit(2)
    except BrokenPipeError:  # `ferscope … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        print(f"Error: {in_a_sentence(error)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
