"""The wheel, built and installed once for all tests of it."""

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT

MEGABYTES = 45  # the wheel has 38, of which the weights are 27


@dataclass(frozen=True)
class Installed:
    """A fresh environment that holds the wheel, an empty folder to work in, and somebody's home folder."""

    python: Path
    folder: Path
    environment: dict[str, str]

    @property
    def package(self) -> Path:
        return Path(self.said("-c", "import fer_core; print(fer_core.__path__[0])"))

    @property
    def command(self) -> Path:
        return self.python.with_name("ferscope.exe" if os.name == "nt" else "ferscope")

    def said(self, *arguments: str, program: Path | None = None) -> str:
        ended = subprocess.run(
            [program or self.python, *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            check=False, timeout=300,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
        return ended.stdout.strip()

    def ferscope(self, *arguments: str) -> str:
        return self.said(*arguments, program=self.command)


def wheel_in(place: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", place], cwd=ROOT, check=True,
        capture_output=True,
    )  # fmt: skip
    (wheel,) = place.glob("ferscope-*.whl")
    return wheel


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The other packages are those of the environment that runs the tests, so that nothing is downloaded."""
    place = tmp_path_factory.mktemp("package")
    wheel = wheel_in(place)
    assert wheel.stat().st_size < MEGABYTES * 1e6
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "FERSCOPE_HOME")}
    environment |= {
        "HOME": str(place / "home"),
        "XDG_DATA_HOME": str(place / "home" / "data"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    venv.create(place / "env", with_pip=False)
    binaries = place / "env" / ("Scripts" if os.name == "nt" else "bin")
    python = binaries / Path(sys.executable).name
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "-q",
            "--python",
            python,
            "install",
            "--no-deps",
            "--no-index",
            "--no-compile",
            wheel,
        ],
        check=True,
        env=environment,
    )
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout.strip())
    others = {
        sysconfig.get_path("purelib"),
        sysconfig.get_path("platlib"),
    }  # their .pth files do not count: no checkout
    (packages / "others.pth").write_text("\n".join(others), encoding="utf-8")
    (place / "empty").mkdir()
    return Installed(python, place / "empty", environment)
