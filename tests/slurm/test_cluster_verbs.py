"""`iwm cluster` as a person uses it: processes of their own, one cluster between them."""

import json
import shlex
import signal
import subprocess
import sys
import time

import pytest

from orchestrator.devcluster import DevCluster, processes


@pytest.fixture
def folder(folder):
    """Where the cluster lives."""
    return folder / "lab"


@pytest.fixture
def iwm(folder):
    """Runs `iwm cluster VERB` on that cluster; (exit code, stdout, stderr)."""

    def run(*words):
        command = [sys.executable, "-m", "orchestrator.cli", "cluster", *words, "--dir", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_life(iwm, folder):
    export = f"export SLURM_CONF={shlex.quote(str(folder / 'slurm.conf'))}\n"
    code, out, err = iwm("up", "--nodes", "2", "--gpus", "1", "--set", "KillWait=9")
    assert (code, out) == (0, export), err
    assert "2 nodes up in " in err
    assert iwm("env")[:2] == (0, export)
    code, out, _ = iwm("status", "--json")
    seen = json.loads(out)
    assert (code, seen["down"], [node["gres"] for node in seen["nodes"]]) == (0, [], ["gpu:1", "gpu:1"])
    assert "KillWait                = 9 sec" in DevCluster.at(folder).run("scontrol", "show", "config")

    assert iwm("up")[0] == 2
    assert iwm("crash", "n1", "slurmctld")[0] == 0
    code, out, _ = iwm("status")
    assert (code, "slurmctld DOWN" in out, "no nodes" in out) == (1, True, True)
    assert iwm("start", "n1", "slurmctld")[0] == 0
    code, out, _ = iwm("status")
    assert (code, "cancel gpu short urgent" in out) == (0, True)

    assert iwm("down")[0] == 0
    assert not folder.exists()
    assert not processes.members(folder)
    code, out, err = iwm("down")
    assert (code, out) == (2, "")
    assert str(folder) in err


def test_an_interrupted_boot_leaves_no_process(iwm, folder):
    while (code := interrupted_boot(folder)) == 0:  # it was through before the signal came
        assert iwm("down")[0] == 0
    assert code == 130
    assert not processes.members(folder)


def interrupted_boot(folder):
    """Interrupts `iwm cluster up` as soon as munge is there; its exit code."""
    command = [sys.executable, "-m", "orchestrator.cli", "cluster", "up", "--dir", str(folder)]
    with subprocess.Popen(command) as booting:
        while not (folder / "run" / "munged.id").exists():
            assert booting.poll() is None
            time.sleep(0.01)
        booting.send_signal(signal.SIGINT)
    return booting.returncode
