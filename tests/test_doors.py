"""Who may import whom: rooms below, one door per library, and nothing heavy behind the light verbs."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("orchestrator", "iwm_core", "dashboards", "sweeps")

FLOORS = (
    {"errors"},
    {"trial"},
    {"host", "inference"},
    {"records"},
    {"store", "planning", "worker"},
    {"tracking", "launching"},
    {"service", "dashboards"},
    {"doctor", "serving", "devcluster"},
    {"demo", "hydra_app"},
    {"cli"},
)
"""Rooms, the lowest floor first: a room imports rooms of lower floors, never of its own or a higher one."""
FEW = {
    "inference": set[str](),
    "devcluster": {"errors"},
    "dashboards": {"errors", "trial", "host", "inference", "records", "store", "planning", "tracking"},
}
"""These know of no other rooms."""

DOORS = {
    "typer": {"orchestrator/cli/"},
    "hydra": {"orchestrator/planning/composer.py", "orchestrator/planning/overrides.py", "orchestrator/hydra_app.py"},
    "omegaconf": {"orchestrator/planning/composer.py", "orchestrator/hydra_app.py"},
    "submitit": {"orchestrator/launching/", "orchestrator/worker/workers.py"},
    "subprocess": {
        "orchestrator/host/slurm.py",
        "orchestrator/host/provenance.py",
        "orchestrator/worker/workers.py",
        "orchestrator/doctor/",
        "orchestrator/serving/",
        "orchestrator/devcluster/",
    },
    "sqlalchemy": {"orchestrator/store/"},
    "mlflow": {"orchestrator/tracking/", "dashboards/"},
    "psutil": {"orchestrator/host/system_metrics.py"},
    "pynvml": {"orchestrator/host/system_metrics.py"},
    "matplotlib": {"dashboards/"},
    "fastapi": {"dashboards/pages/server.py"},
    "starlette": {"dashboards/pages/"},
    "jinja2": {"dashboards/pages/render.py"},
    "torch": {"iwm_core/"},
    "timm": {"iwm_core/"},
    "orchestrator": {"orchestrator/", "dashboards/"},
    "dashboards": {"dashboards/", "orchestrator/cli/", "orchestrator/demo/"},
}
"""Library -> the files and folders that may import it."""

TORCH_FREE = (
    "iwm_core.config",
    "iwm_core.events",
    "iwm_core.errors",
    "iwm_core.randomness",
    "iwm_core.data.blocks",
    "iwm_core.objectives.requirements",
    "iwm_core.training.place",
)
CORE_DOORS = (
    "iwm_core.config",
    "iwm_core.events",
    "iwm_core.errors",
    "iwm_core.data.mask_counts",
    "iwm_core.objectives.requirements",
    "iwm_core.training.place",
)
"""What the orchestrator may know of the core; only an attempt that trains, and an export, open more."""


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(name: str) -> str:
    """The room that a dotted name is of; empty for what is none of ours."""
    package, _, rest = name.partition(".")
    return package if package == "dashboards" else rest.partition(".")[0] if package == "orchestrator" else ""


def rooms() -> dict[str, set[str]]:
    """Every room, and the rooms that its files import."""
    known = set[str]().union(*FLOORS)
    found: dict[str, set[str]] = {}
    for path in sources():
        here = room(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
        if here:
            found.setdefault(here, set()).update({room(name) for name in imports(path)} & known - {here})
    return found


def test_every_room_has_its_floor():
    assert sorted(rooms()) == sorted(name for floor in FLOORS for name in floor)


@pytest.mark.parametrize("floor", range(len(FLOORS)))
def test_a_room_imports_rooms_below_it(floor):
    below, known = set[str]().union(*FLOORS[:floor]), rooms()
    for name in FLOORS[floor]:
        assert known[name] <= below & FEW.get(name, below), name


@pytest.mark.parametrize("library", DOORS)
def test_one_door_per_library(library):
    users = {
        str(path.relative_to(ROOT))
        for path in sources()
        if any(name == library or name.startswith(library + ".") for name in imports(path))
    }
    assert users, f"nobody imports {library}: is the door still needed?"
    assert not {user for user in users if not user.startswith(tuple(DOORS[library]))}


def test_the_core_imports_nothing_of_the_shell():
    foreign = ("hydra", "omegaconf", "submitit", "mlflow", "sqlalchemy", "typer", "orchestrator", "dashboards", "rich")
    for path in (ROOT / "iwm_core").rglob("*.py"):
        assert not [name for name in imports(path) if name.split(".")[0] in foreign], path


def test_the_orchestrator_knows_little_of_the_core():
    for path in (ROOT / "orchestrator").rglob("*.py"):
        if path.parent.name == "worker":
            continue
        known = [name for name in imports(path) if name.startswith("iwm_core.")]
        packages = ("iwm_core.data", "iwm_core.objectives", "iwm_core.training")
        assert all(name.startswith(CORE_DOORS) or name in packages for name in known), (path, known)


def normalised(distribution: str) -> str:
    """The name of a distribution as PEP 503 compares it, without version and extras."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", distribution)[0]).lower()  # type: ignore[index]


def declared(*groups: str) -> set[str]:
    """The distributions that pyproject.toml names: those always installed, and those of these extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][group] for group in groups)]
    return {normalised(name) for names in lists for name in names}


@pytest.mark.parametrize(
    ("package", "extras"), [*((package, ()) for package in PACKAGES), ("benchmarks", ("dev",)), ("docs", ())]
)
def test_every_imported_library_is_a_declared_dependency(package, extras):
    distributions, known = packages_distributions(), declared(*extras)
    top_level = {name.split(".")[0] for path in (ROOT / package).rglob("*.py") for name in imports(path)}
    libraries = top_level - sys.stdlib_module_names - {*PACKAGES, "benchmarks", "docs", "tests"}
    undeclared = {name for name in libraries if not known & {normalised(found) for found in distributions[name]}}
    assert not undeclared


def test_every_declared_dependency_has_a_version_in_the_constraints():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert declared("postgres", "auth", "dev") <= {normalised(line) for line in lines}


def loaded_after(code: str) -> set[str]:
    """The top-level modules that a fresh process has loaded after running this code."""
    told = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in told.stdout.split()}


@pytest.mark.parametrize("module", TORCH_FREE)
def test_these_modules_do_without_torch(module):
    assert "torch" not in loaded_after(f"import {module}")


@pytest.mark.parametrize(
    ("words", "unloaded"),
    [
        ("--help", {"torch", "mlflow", "sqlalchemy", "hydra", "submitit", "rich", "numpy"}),
        ("plan demo", {"torch", "mlflow", "sqlalchemy", "submitit"}),
        ("status", {"torch", "mlflow", "hydra", "submitit"}),
    ],
)
def test_light_verbs_load_nothing_heavy(words, unloaded, tmp_path):
    code = f"""
import contextlib, io
from orchestrator import cli
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    cli.main({words.split()!r} + ([] if {words!r} == "--help" else ["--root", {str(tmp_path)!r}]))
"""
    assert not loaded_after(code) & unloaded
