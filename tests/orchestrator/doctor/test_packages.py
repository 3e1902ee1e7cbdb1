"""Versions as they are, and an interpreter without torch."""

import sys
from importlib import metadata

import pytest

from orchestrator.doctor.finding import Verdict
from orchestrator.doctor.packages import examine_packages


def test_what_is_installed_here():
    found = {one.name: one for one in examine_packages()}
    assert found["torch"].value.partition("+")[0] == metadata.version("torch").partition("+")[0]
    assert found["submitit"].value == metadata.version("submitit")
    assert sys.executable in found["python"].means
    assert found["CUDA devices"].verdict in (Verdict.OK, Verdict.NOT_THERE)
    assert {one.verdict for one in found.values()} <= {Verdict.OK, Verdict.NOT_THERE}


@pytest.mark.parametrize(
    ("script", "said"),
    [("echo 'ModuleNotFoundError: no torch' >&2; exit 1", "no torch"), ("kill -SEGV $$", "it said nothing")],
)
def test_a_torch_that_cannot_be_loaded_is_a_finding(tmp_path, script, said):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    found = {one.name: one for one in examine_packages(str(python))}
    assert found["torch"].verdict is Verdict.FAILED
    assert said in found["torch"].value
    assert "CUDA devices" not in found
