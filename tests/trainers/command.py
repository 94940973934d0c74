"""A command of `ferscope`, run within this process."""

from typer.testing import CliRunner

from fer_core.errors import FerError
from trainers.cli import app


def ferscope(*arguments: object) -> str:
    """What the command prints; an expected error is raised."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(done.exception, FerError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output
