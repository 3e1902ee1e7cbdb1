"""Tests that are killed leave no cluster behind."""

import subprocess
import sys
import time
from pathlib import Path

from orchestrator.devcluster import processes
from tests.slurm.pool import ROOT

KILLED = """
import time
from orchestrator.devcluster import ClusterSpec
from tests.slurm.pool import ClusterPool
cluster = ClusterPool().get(ClusterSpec(nodes=1), in_use=set())
print(cluster.directory, flush=True)
time.sleep(60)
"""


def test_clusters_end_with_the_process_that_booted_them(slurm_installed):
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, cwd=ROOT) as tests:
        assert tests.stdout
        directory = Path(tests.stdout.readline().strip())
        assert processes.members(directory)
        tests.kill()
    deadline = time.monotonic() + 30
    while directory.parent.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert not processes.members(directory)
