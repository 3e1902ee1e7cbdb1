"""`iwm doctor` on a real SLURM: what it offers, and what is missing while a daemon is down."""

import json
import signal
import subprocess
import sys

import pytest

from tests.e2e.conftest import until
from tests.fakes.tiny import TINY


@pytest.fixture
def doctor(tmp_path):
    """Runs the verb on a cluster; (exit code, finding by name, standard error)."""

    def run(cluster, *words):
        command = [
            sys.executable,
            "-m",
            "orchestrator.cli",
            "doctor",
            *words,
            "--root",
            str(tmp_path / "runs"),
            "--json",
        ]
        done = subprocess.run(command, env=cluster.env, capture_output=True, text=True, timeout=300, check=False)
        assert done.stdout, done.stderr
        told = json.loads(done.stdout)
        assert done.returncode == (1 if told["verdict"] == "failed" else 0)
        return done.returncode, {one["name"]: one for one in told["findings"]}, done.stderr

    return run


def test_a_cluster_with_all_its_daemons(dev_cluster, doctor, tmp_path):
    code, found, _ = doctor(dev_cluster())
    assert code == 0
    for name in ("controller", "submit", "sacct", "nodes", "GPUs", "partition gpu*", "PreemptType", "MaxArraySize"):
        assert found[name]["verdict"] == "ok", found[name]
    assert found["nodes"]["value"] == "4 idle"
    assert found["GPUs"]["value"] == "8 gpu"
    assert "preempted by REQUEUE, grace 5 s" in found["partition gpu*"]["value"]
    assert "never preempted" in found["partition urgent"]["value"]
    assert found["partition short"]["verdict"] == "warning"
    assert "after 6 s" in found["cred_expire"]["means"]
    assert found["preempt_send_user_signal"]["verdict"] == "not there"
    assert not list(tmp_path.iterdir())


def test_settings_that_surprise_and_a_partition_that_refuses(dev_cluster, doctor):
    lines = ("EnforcePartLimits=ALL", "MaxArraySize=20", "JobRequeue=0", "PartitionName=closed Nodes=ALL State=DRAIN")
    _, found, _ = doctor(dev_cluster(nodes=1, user_signal=True, settings=lines))
    assert found["EnforcePartLimits"]["verdict"] == "ok"
    assert (found["MaxArraySize"]["verdict"], found["MaxArraySize"]["value"]) == ("warning", "20")
    assert found["JobRequeue"]["value"] == "no"
    assert found["preempt_send_user_signal"]["verdict"] == "ok"
    assert found["partition closed"]["verdict"] == "warning"
    assert "drain" in found["partition closed"]["means"]


def test_daemons_that_are_down(dev_cluster, doctor):
    cluster = dev_cluster()
    cluster.crash("slurmdbd")
    code, found, _ = doctor(cluster)
    assert (code, found["sacct"]["verdict"]) == (0, "warning")
    assert found["submit"]["verdict"] == "ok"
    cluster.crash("slurmctld")
    code, found, _ = doctor(cluster)
    assert (code, found["controller"]["verdict"]) == (1, "failed")
    assert "partition gpu*" not in found
    assert found["flock"]["verdict"] == "ok"
    cluster.start("slurmdbd", "slurmctld")


CANARY = ("--canary", *TINY, "resources.device=cpu", "train.steps=400")
LEGS = ["submit", "start", "USR2", "back after USR2", "scontrol requeue", "back after scontrol requeue", "finish"]


def test_a_canary_gives_way_twice_and_comes_home(dev_cluster, doctor, tmp_path):
    cluster = dev_cluster()
    code, found, err = doctor(cluster, *CANARY, "--partition", "gpu")
    legs = [one for one in found.values() if one["subject"] == "canary gpu"]
    assert [(one["name"], one["verdict"]) for one in legs] == [(leg, "ok") for leg in LEGS], (legs, err)
    assert code == 0
    assert found["USR2"]["value"].startswith("SIGUSR2")
    assert "restart 1," in found["back after USR2"]["value"]
    assert found["scontrol requeue"]["value"].startswith("SIGTERM")
    assert "restart 2," in found["back after scontrol requeue"]["value"]
    assert found["finish"]["value"].startswith("step 400 in 3 attempts")
    assert not list(tmp_path.iterdir())
    assert not cluster.run("squeue", "--noheader")


def test_a_canary_that_may_not_fly(dev_cluster, doctor, tmp_path):
    cluster = dev_cluster(nodes=1, settings=("PartitionName=closed Nodes=ALL State=DRAIN",))
    code, found, _ = doctor(cluster, *CANARY, "--partition", "closed")
    assert (code, found["submit"]["subject"], found["submit"]["verdict"]) == (1, "canary closed", "failed")
    assert "drain" in found["submit"]["value"]
    assert "files are kept in" in found["submit"]["means"]


def test_a_canary_that_waits_too_long(dev_cluster, doctor):
    cluster = dev_cluster(nodes=1)
    cluster.run("sbatch", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap", "sleep 100")
    code, found, _ = doctor(cluster, *CANARY, "--wait", "0.1")
    assert (code, found["start"]["verdict"]) == (1, "failed")
    assert "PENDING" in found["start"]["value"]
    assert "canary" not in cluster.run("squeue", "--noheader", "--format", "%j %T")


def test_interrupted_it_takes_its_job_back(dev_cluster, tmp_path):
    cluster = dev_cluster()
    command = [sys.executable, "-m", "orchestrator.cli", "doctor", *CANARY, "--root", str(tmp_path / "runs")]
    process = subprocess.Popen(command, env=cluster.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: cluster.run("squeue", "--noheader", "--states=RUNNING"))
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert not cluster.run("squeue", "--noheader")
    assert not list(tmp_path.iterdir())
