"""All of it, where there is no SLURM: one line says so, the rest is looked at."""

import subprocess
import sys

from orchestrator.doctor import Verdict, examine
from orchestrator.host.slurm import Answer
from orchestrator.records.layout import Layout

NOT_INSTALLED = Answer(code=127, out="", err="not installed")


def test_without_slurm(tmp_path):
    heard = []
    report = examine(Layout.of(tmp_path / "runs", environ={}), ask=lambda command: NOT_INSTALLED, say=heard.append)
    assert not report.failed
    assert [one.verdict for one in report.findings if one.subject == "SLURM"] == [Verdict.NOT_THERE]
    assert {one.subject for one in report.findings} == {"packages", "SLURM", "root", "services"}
    assert len(heard) == 3
    assert not list(tmp_path.iterdir())


def test_looking_loads_nothing_heavy():
    code = "import orchestrator.doctor, sys; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "mlflow", "submitit", "hydra"} & set(told)
