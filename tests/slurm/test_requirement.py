"""Where SLURM is missing, tests that need it say so, and fail where it is required."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize(("required", "outcome", "code"), [("", "skipped", 0), ("1", "error", 1)])
def test_a_test_without_slurm(required, outcome, code):
    wanted = f"{HERE / 'test_devcluster.py'}::test_a_job_runs_on_a_gpu"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-rsE", "-p", "no:cacheprovider", wanted],
        cwd=HERE.parents[1],
        env={**os.environ, "PATH": "/nowhere", "IWM_REQUIRE_SLURM": required},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, done.stdout
    assert f"1 {outcome}" in done.stdout
    assert "apt-get install -y" in done.stdout
