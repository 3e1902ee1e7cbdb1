"""Who may import whom: one door per library, and nothing heavy behind the light verbs."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("orchestrator", "iwm_core", "dashboards", "sweeps")

DOORS = {
    "typer": {"orchestrator/cli/"},
    "hydra": {"orchestrator/composer.py", "orchestrator/overrides.py", "orchestrator/hydra_app.py"},
    "omegaconf": {"orchestrator/composer.py", "orchestrator/hydra_app.py"},
    "submitit": {"orchestrator/launch.py", "orchestrator/launch_slurm.py", "orchestrator/worker.py"},
    "subprocess": {
        "orchestrator/slurm.py",
        "orchestrator/worker.py",
        "orchestrator/provenance.py",
        "orchestrator/devcluster/",
        "orchestrator/verify_resume.py",
        "orchestrator/doctor/packages.py",
        "orchestrator/serving/",
    },
    "sqlalchemy": {"orchestrator/store.py", "orchestrator/migrations/"},
    "alembic": {"orchestrator/store.py", "orchestrator/migrations/"},
    "mlflow": {"orchestrator/gather.py", "orchestrator/sender.py", "orchestrator/tracking.py", "dashboards/"},
    "psutil": {"orchestrator/system_metrics.py"},
    "pynvml": {"orchestrator/system_metrics.py"},
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
        if path.name in ("attempt.py", "export.py", "ranks.py"):
            continue
        known = [name for name in imports(path) if name.startswith("iwm_core.")]
        packages = ("iwm_core.data", "iwm_core.objectives", "iwm_core.training")
        assert all(name.startswith(CORE_DOORS) or name in packages for name in known), (path, known)


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
