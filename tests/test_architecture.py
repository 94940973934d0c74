"""The arrows of the design: what may import what, and what opening a page may cost.

`python -m tests.test_architecture` prints the packages of `fer_core`, each below those that import it.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOPS = ("fer_core", "dashboard", "trainers")
# Each of these may import those below it in this list of packages, and none above it.
ABOVE = {"fer_core": {"dashboard", "trainers"}, "dashboard": {"trainers"}, "trainers": {"dashboard"}}
INTERFACES = {"streamlit", "gradio", "plotly"}
CHARTS_IN = "reports"  # the one package of the library that draws


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def files(*tops: str) -> list[Path]:
    return sorted(path for top in tops for path in (ROOT / top).rglob("*.py"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path) for path in files(*TOPS)}


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever the import stands in it; of this code also for types only."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{path}: relative imports hide where an arrow leads"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module


def tops(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def package(module: str) -> str:
    """The part of `fer_core` that a module belongs to: a folder, or a file directly below it."""
    return module.split(".")[1] if "." in module else module


@cache
def packages() -> dict[str, set[str]]:
    """Which packages of `fer_core` each one imports."""
    graph: dict[str, set[str]] = {package(module): set() for module in MODULES if module.startswith("fer_core.")}
    for path in files("fer_core"):
        mine = package(module_of(path))
        if mine != "fer_core":
            graph[mine] |= {package(name) for name in imports(path) if name.startswith("fer_core.")} - {mine}
    return graph


@cache
def floors() -> list[list[str]]:
    """The packages from the ground up: each imports only those of the lists before its own.

    Raises:
        CycleError: packages that import each other in a circle; the error names them.
    """
    sorter = TopologicalSorter(packages())
    sorter.prepare()
    found = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        found.append(ready)
        sorter.done(*ready)
    return found


def test_no_package_imports_another_in_a_circle() -> None:
    try:
        order = floors()
    except CycleError as circle:
        pytest.fail(f"These packages import each other in a circle: {' <- '.join(circle.args[1])}")
    floor = {name: number for number, names in enumerate(order) for name in names}
    assert floor["errors"] == 0
    assert floor["faces"] < floor["images"] < floor["models"] < floor["evaluation"] < floor["explanation"]
    assert floor["runs"] < floor["training"] < floor["experiments"]


def offences(forbidden: Callable[[Path], set[str]], *tops_of: str) -> dict[str, set[str]]:
    """What files use of what is forbidden to each, by the file's module. All are told at once: one test a rule."""
    found = {module_of(path): forbidden(path) for path in files(*tops_of)}
    return {module: used for module, used in found.items() if used}


def test_the_library_imports_no_user_interface() -> None:
    def interfaces(path: Path) -> set[str]:
        forbidden = INTERFACES if package(module_of(path)) == CHARTS_IN else INTERFACES | {"altair"}
        return tops(path) & (forbidden | ABOVE["fer_core"])

    assert offences(interfaces, "fer_core") == {}


def test_pages_and_commands_do_not_import_each_other() -> None:
    assert offences(lambda path: tops(path) & ABOVE[module_of(path).partition(".")[0]], "dashboard", "trainers") == {}


def modules_named_above(path: Path) -> set[str]:
    """A module that is started by name (`python -m`), or a folder, is an arrow too."""
    above = ABOVE[module_of(path).partition(".")[0]]
    mine = package(module_of(path))
    order = {name: number for number, names in enumerate(floors()) for name in names}
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    found = set()
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in documented:
            continue
        named = re.fullmatch(r"(fer_core|dashboard|trainers)((?:\.\w+)*)", node.value)
        if named is None or node.value == "fer_core":
            continue
        within = named[1] == module_of(path).partition(".")[0] == "fer_core"
        if named[1] in above or (within and order[package(node.value)] > order[mine]):
            found.add(f"line {node.lineno}: {node.value}")
    return found


def test_no_string_names_a_module_above() -> None:
    assert offences(modules_named_above, *TOPS) == {}


def test_no_page_starts_a_program_but_its_own() -> None:
    """Pages call the library, which starts processes; only Live and Class have apps, which `app_process` starts."""
    assert offences(lambda path: tops(path) & {"subprocess"}, "dashboard/views", "dashboard/parts") == {}
    users = offences(lambda path: set(imports(path)) & {"dashboard.app_process"}, "dashboard/views", "dashboard/parts")
    assert set(users) == {"dashboard.views.live", "dashboard.parts.class_address"}


COMPUTES = {"numpy": {"linalg", "percentile", "quantile", "corrcoef", "cov", "bincount", "histogram"}}


def computed(path: Path) -> set[str]:
    """Statistics that a file imports, and numpy's functions that make some."""
    called = {
        node.attr
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np"
    }
    return (tops(path) & {"scipy", "sklearn", "statsmodels", "torch", "captum"}) | (called & COMPUTES["numpy"])


def test_no_page_computes() -> None:
    """Figures come from the library."""
    assert offences(computed, "dashboard/views", "dashboard/parts", "dashboard/charts") == {}


def loaded_by(code: str) -> set[str]:
    """The modules that are loaded in a fresh process after some code."""
    program = f"{code}\nimport sys; print(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )


def test_importing_every_table_module_loads_nothing_slow() -> None:
    code = (
        "import fer_core, fer_core.labels, fer_core.images, fer_core.checkpoint, fer_core.runs.store\n"
        "import fer_core.training.launch, fer_core.experiments.sweep_process, fer_core.experiments.estimate\n"
        "import fer_core.evaluation.report, fer_core.evaluation.comparison, fer_core.evaluation.calibration\n"
        "from fer_core.datasets import READERS, open_dataset\n"
        "from fer_core.datasets.known import known\n"
        "from fer_core.recipe import recipes, load_recipe\n"
        "READERS.names(); known(); [load_recipe(name) for name in recipes()]\n"
    )
    slow = {"torch", "torchvision", "captum", "gradio", "sklearn", "streamlit", "plotly", "scipy", "cv2"}
    assert not loaded_by(code) & slow


def test_only_home_routes() -> None:
    routers = [p.name for p in (ROOT / "dashboard").rglob("*.py") if "st.navigation(" in p.read_text(encoding="utf-8")]
    assert routers == ["Home.py"]


def unpickled(path: Path) -> set[str]:
    """Whatever in a file could run a pickle."""
    text = path.read_text(encoding="utf-8")
    found = {"allow_pickle=True"} if "allow_pickle=True" in text else set()
    found |= tops(path) & {"pickle", "joblib", "dill", "cloudpickle"}
    loads = any(ast.unparse(node) == "torch.load" for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute))
    return found | ({"torch.load"} if loads else set())


def test_nothing_unpickles() -> None:
    found = offences(unpickled, *TOPS)
    # foreign weights: tensors alone, and pickle's error for all that holds more
    assert found.pop("fer_core.training.transfer") == {"pickle", "torch.load"}
    text = (ROOT / "fer_core" / "training" / "transfer.py").read_text(encoding="utf-8")
    assert text.count("torch.load(") == text.count("weights_only=True)") == 1
    lines = [line.strip() for line in text.splitlines() if "import" in line and "pickle" in line]
    assert lines == ["from pickle import UnpicklingError"]
    assert found == {}


if __name__ == "__main__":
    graph = packages()
    for names in reversed(floors()):
        for name in names:
            print(f"{name:12} -> {', '.join(sorted(graph[name])) or 'nothing'}")
        print()
