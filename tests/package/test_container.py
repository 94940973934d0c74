"""The container, step by step without a container engine: what its files say is read, and its commands are run as they stand by
an unprivileged user, with the wheel that the image would install."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml

from tests.conftest import ROOT, free_port
from tests.package.conftest import Installed

PORT = "8501"
OTHER = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]  # a user without privileges, who owns what we own


def steps() -> list[tuple[str, str]]:
    """Instruction and arguments of each step of the Dockerfile's last stage, in order."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    parted = [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines if line]
    return parted[max(number for number, (what, _) in enumerate(parted) if what == "FROM") :]


def only(what: str) -> str:
    (found,) = [arguments for name, arguments in steps() if name == what]
    return found


def test_the_image_is_slim_runs_as_a_user_of_its_own_and_keeps_the_workspace_in_a_volume() -> None:
    assert re.fullmatch(r"python:3\.1[123]-slim", only("FROM"))
    names = [name for name, _ in steps()]
    assert names.index("USER") < names.index("CMD")
    assert f"--uid 1000 {only('USER')}" in dict(steps())["RUN"]
    assert only("ENV") == f"FERSCOPE_HOME={only('VOLUME')}"
    assert f"--owner {only('USER')} --group {only('USER')} {only('VOLUME')}" in dict(steps())["RUN"]
    assert only("EXPOSE") == PORT


def test_the_build_context_holds_all_that_the_wheel_is_made_of() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[0] == "!"]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (packages,) = re.findall(r"only-include = (\[.*\])", project)
    needed = {*json.loads(packages), "pyproject.toml", "README.md", "LICENSE", "NOTICE"}
    assert set(kept) == needed
    assert all((ROOT / name).exists() for name in kept)


def test_compose_serves_this_machine_only_and_keeps_the_workspace() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert f"workspace:{only('VOLUME')}" in service["volumes"]
    assert services["workbench"]["ports"] == [f"127.0.0.1:{PORT}:{only('EXPOSE')}"]
    assert services["live"]["command"][:2] == ["ferscope", "live"]


def health(installed: Installed, port: int) -> int:
    command = json.loads(only("HEALTHCHECK").partition("CMD ")[2].replace(f":{PORT}/", f":{port}/"))
    assert command[0] == "python"
    return subprocess.run([installed.python, *command[1:]], capture_output=True, check=False).returncode


@pytest.mark.process
@pytest.mark.usefixtures("no_process_is_left")
def test_an_unprivileged_user_runs_its_command_and_the_health_check_sees_it(
    installed: Installed,
    tmp_path: Path,
) -> None:
    if (
        sys.platform != "linux"
        or shutil.which("unshare") is None
        or subprocess.run([*OTHER, "true"], check=False).returncode
    ):
        pytest.skip("no other user can be had here: unshare is missing or not allowed")
    port, home = free_port(), tmp_path / "volume"
    home.mkdir()
    assert health(installed, port) != 0
    command = json.loads(only("CMD"))
    server = subprocess.Popen(
        [*OTHER, installed.python.with_name(command[0]), *command[1:], "--port", str(port)], cwd=installed.folder,
        env=installed.environment | {only("ENV").partition("=")[0]: str(home)}, stderr=subprocess.STDOUT,
        stdout=(tmp_path / "said.txt").open("wb"),
    )  # fmt: skip
    end = time.monotonic() + 120
    while health(installed, port) and server.poll() is None and time.monotonic() < end:
        time.sleep(0.2)
    assert health(installed, port) == 0, (tmp_path / "said.txt").read_text(encoding="utf-8")
    said = (tmp_path / "said.txt").read_text(encoding="utf-8")
    assert f"http://localhost:{port}" in said
    assert "external IP" not in said  # nobody else is asked
    with urlopen(
        f"http://127.0.0.2:{port}/_stcore/health"
    ) as answer:  # any address of the container, not localhost alone
        assert answer.read() == b"ok"
