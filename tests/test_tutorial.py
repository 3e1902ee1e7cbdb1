"""The tutorial is executed: its edits are made in a copy of the checkout, and its commands run there in order."""

import csv
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from iwm_core.models.conditioning import CONDITIONINGS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "tutorial.md").read_text()
TABLE = re.compile(r"^CONDITIONINGS\b.*?^}\n", flags=re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


NEW_CLASS, NEW_TABLE = blocks("python")
COMMANDS = [line for block in blocks("bash") for line in block.splitlines()]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the code and the tests, with the edits of the tutorial."""
    for folder in ("orchestrator", "iwm_core", "dashboards", "sweeps", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    module = tmp_path / "iwm_core" / "models" / "conditioning.py"
    before, table, after = re.split(rf"({TABLE.pattern})", module.read_text(), flags=TABLE.flags)
    assert set(table.splitlines()) < set(NEW_TABLE.splitlines())
    module.write_text(f"{before}{NEW_CLASS}\n\n{NEW_TABLE}{after}")
    (settings,) = blocks("yaml")
    (path,) = re.findall(r"`(sweeps/conditioning/\w+\.yaml)`", PAGE)
    (tmp_path / path).write_text(settings)
    return tmp_path


@pytest.mark.slow
def test_the_tutorial_s_commands_run_in_their_order(checkout):
    (name,) = set(re.findall(r'^    "(\w+)"', NEW_TABLE, flags=re.MULTILINE)) - set(CONDITIONINGS)
    programs = {"iwm": [sys.executable, "-m", "orchestrator.cli"], "python": [sys.executable]}
    output = ""
    for line in COMMANDS:
        program, *words = shlex.split(line)
        done = subprocess.run(
            [*programs[program], *words],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout)},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        output = done.stdout
    rows = list(csv.DictReader(io.StringIO(output)))
    assert sorted((row["conditioning"], row["seed"], row["state"]) for row in rows) == [
        (kind, seed, "finished") for kind in sorted(["feature", name]) for seed in "01"
    ]
