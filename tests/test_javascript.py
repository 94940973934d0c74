"""Every script passes the linter biome, whose recommended rules find unused names, slips and dangerous calls."""

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.conftest import ROOT

BIOME = shutil.which("biome", path=sysconfig.get_path("scripts"))
SCRIPTS = [path for top in ("dashboard", "fer_core") for path in sorted((ROOT / top).rglob("*.js"))]
pytestmark = pytest.mark.skipif(BIOME is None, reason="biome is not installed; the extra test brings it")


def lint(*scripts: Path) -> subprocess.CompletedProcess[str]:
    assert BIOME is not None
    return subprocess.run(
        [BIOME, "lint", "--error-on-warnings", *scripts],
        cwd=scripts[0].parent,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_scripts_pass() -> None:
    assert len(SCRIPTS) > 10
    said = lint(*SCRIPTS)
    assert said.returncode == 0, said.stderr
    assert f"Checked {len(SCRIPTS)} files" in said.stdout


def test_a_slip_is_found(tmp_path: Path) -> None:
    script = tmp_path / "slip.js"
    script.write_text("export const same = (a, b) => { const unused = 1; return (a = b); };\n", encoding="utf-8")
    said = lint(script)
    assert said.returncode != 0
    assert "noUnusedVariables" in said.stderr
    assert "noAssignInExpressions" in said.stderr
