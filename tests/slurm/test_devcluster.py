"""The cluster in a box is a real SLURM, survives what tests do to it, and leaves nothing behind."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.devcluster import ClusterSpec, DevCluster, processes
from orchestrator.errors import ClusterError, RequestError


def until(found: Callable[[], Any], timeout_s: float = 60) -> Any:
    """Waits for a truthy value."""
    deadline = time.monotonic() + timeout_s
    while not (value := found()):
        assert time.monotonic() < deadline, "this never came"
        time.sleep(0.1)
    return value


def submit(cluster: DevCluster, line: str, *options: str) -> str:
    """A job's id."""
    return cluster.run("sbatch", "--parsable", "--output=/dev/null", *options, "--wrap", line).strip()


def state(cluster: DevCluster, job: str) -> str:
    """What the queue calls it."""
    return cluster.run("squeue", "-h", "-j", job, "-o", "%T", check=False).strip()


def recorded(cluster: DevCluster, job: str) -> str:
    """What accounting calls it, once it has ended."""

    def ended() -> str:
        told = cluster.run("sacct", "-nXP", "-j", job, "-o", "State").strip()
        return "" if told in ("PENDING", "RUNNING", "REQUEUED") else told

    return until(ended)


def running(cluster: DevCluster, line: str, *options: str) -> str:
    """The id of a job that has started."""
    job = submit(cluster, line, *options)
    until(lambda: state(cluster, job) == "RUNNING" and processes.job_processes(cluster.directory))
    return job


def test_a_job_runs_on_a_gpu(dev_cluster, tmp_path):
    cluster = dev_cluster()
    line = "srun printenv CUDA_VISIBLE_DEVICES"
    job = submit(cluster, line, "--gpus-per-node=2", f"--output={tmp_path / 'said'}")
    assert recorded(cluster, job) == "COMPLETED"
    assert (tmp_path / "said").read_text() == "0,1\n"
    cluster.wait_idle()


def test_urgent_jobs_preempt_and_the_partition_decides_what_happens_then(dev_cluster):
    cluster = dev_cluster(nodes=2, grace_s=0)
    for_long = ("--exclusive", "--time=5")
    requeued = running(cluster, "srun sleep 60", "--partition=gpu", *for_long)
    cancelled = running(cluster, "srun sleep 60", "--partition=cancel", *for_long)
    urgent = submit(cluster, "true", "--partition=urgent", "--nodes=2", "--exclusive")
    assert recorded(cluster, urgent) == "COMPLETED"
    assert recorded(cluster, cancelled) == "PREEMPTED"
    assert state(cluster, requeued) in ("PENDING", "COMPLETING")
    assert "MaxTime=00:01:00" in cluster.run("scontrol", "show", "partition", "short")


def test_a_node_crashes_and_comes_back(dev_cluster):
    cluster = dev_cluster()
    running(cluster, "srun sleep 60", "--nodelist=n1")
    cluster.crash("n1")
    assert cluster.pid("n1") is None
    assert not processes.members(cluster.directory, daemon="n1")
    assert not processes.job_processes(cluster.directory)
    assert cluster.status().down == ("n1",)
    cluster.start("n1")
    assert cluster.status().down == ()
    assert recorded(cluster, submit(cluster, "true", "--nodelist=n2")) == "COMPLETED"


def test_the_controller_crashes_and_jobs_do_not_notice(dev_cluster):
    cluster = dev_cluster()
    job = running(cluster, "srun sleep 60")
    time.sleep(5)  # a younger job's start may not have been saved
    before = processes.job_processes(cluster.directory)
    cluster.crash("slurmctld")
    assert cluster.status().nodes == ()
    cluster.start("slurmctld")
    assert until(lambda: state(cluster, job)) == "RUNNING"
    assert processes.job_processes(cluster.directory) == before


def test_the_database_crashes_young_and_is_there_again(folder):
    cluster = DevCluster.up(folder / "a", spec=ClusterSpec(nodes=1))
    cluster.crash("mariadbd", "slurmdbd")
    cluster.start("slurmdbd", "mariadbd")
    assert recorded(cluster, submit(cluster, "true")) == "COMPLETED"


def test_an_orphan_ends_with_its_job(dev_cluster):
    cluster = dev_cluster()
    job = submit(cluster, "setsid sleep 60 & sleep 0.5")
    assert recorded(cluster, job) == "COMPLETED"
    until(lambda: not processes.job_processes(cluster.directory))


def test_reset_mends_what_a_test_broke(dev_cluster):
    cluster = dev_cluster()
    running(cluster, "trap '' TERM; sleep 60 & wait", "--nodelist=n1")
    submit(cluster, "true", "--hold")
    cluster.run("scontrol", "update", "NodeName=n2", "State=DRAIN", "Reason=test")
    cluster.run("scontrol", "update", "NodeName=n3", "State=DOWN", "Reason=test")
    cluster.crash("n4", "slurmdbd")
    cluster.reset()
    status = cluster.status()
    assert status.busy == ()
    assert recorded(cluster, submit(cluster, "true", "--nodes=4")) == "COMPLETED"


def test_two_side_by_side_and_nothing_left(folder):
    one, two = (DevCluster.up(folder / name, spec=ClusterSpec(nodes=1)) for name in "ab")
    jobs = [running(cluster, "trap '' TERM; setsid sleep 60 & wait") for cluster in (one, two)]
    assert [state(one, jobs[0]), state(two, jobs[1])] == ["RUNNING", "RUNNING"]
    members = processes.members(one.directory)
    one.down()
    assert not one.directory.exists()
    assert not [pid for pid in members if is_alive(pid)]
    assert state(two, jobs[1]) == "RUNNING"
    assert two.status().down == ()
    with pytest.raises(RequestError) as refused:
        DevCluster.at(one.directory)
    assert refused.value.path == one.directory


def is_alive(pid: int) -> bool:
    """Return True if it still runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_what_was_kept_starts_again_with_its_history(folder):
    cluster = DevCluster.up(folder / "a", spec=ClusterSpec(nodes=1))
    job = submit(cluster, "true")
    assert recorded(cluster, job) == "COMPLETED"
    cluster.down(keep=True)
    assert not processes.members(cluster.directory)
    again = DevCluster.at(cluster.directory)
    again.start(*again.names)
    assert recorded(again, job) == "COMPLETED"
    assert recorded(again, submit(again, "true")) == "COMPLETED"


def test_it_ends_with_its_block_also_after_a_failure(folder):
    cluster = DevCluster.up(folder / "a", spec=ClusterSpec(nodes=1))
    with pytest.raises(ClusterError), cluster:
        cluster.run("scontrol", "nonsense")
    assert not cluster.directory.exists()


def test_a_boot_that_fails_says_why_and_leaves_only_the_logs(folder):
    with pytest.raises(ClusterError) as failed:
        DevCluster.up(folder / "a", spec=ClusterSpec(nodes=1, settings=("Foo=bar",)))
    assert (failed.value.value, failed.value.path) == ("slurmctld", folder / "a" / "log" / "slurmctld.out")
    assert "Foo" in str(failed.value)
    left = DevCluster.at(folder / "a")
    assert set(left.status().down) == set(left.names)
    with pytest.raises(RequestError) as refused:
        DevCluster.up(folder / "a")
    assert refused.value.path == folder / "a"
    assert "iwm cluster down" in str(refused.value)


def test_a_pid_that_another_process_has_now_is_not_a_daemon(folder):
    cluster = DevCluster.up(folder / "a", spec=ClusterSpec(nodes=1))
    os.kill(cluster.pid("slurmdbd") or 0, signal.SIGKILL)
    until(lambda: cluster.pid("slurmdbd") is None)
    (cluster.directory / "run" / "slurmdbd.id").write_text(f"{os.getpid()} 1\n")
    assert cluster.pid("slurmdbd") is None
    cluster.start("slurmdbd")
    assert cluster.pid("slurmdbd")


def test_a_command_that_fails_is_told_in_its_own_words(dev_cluster):
    cluster = dev_cluster()
    with pytest.raises(ClusterError) as failed:
        submit(cluster, "true", "--partition=nosuch")
    assert failed.value.value == 1
    assert "invalid partition specified: nosuch" in str(failed.value)
    with pytest.raises(ClusterError) as absent:
        cluster.run("nosuch")
    assert absent.value.value == "nosuch"
    assert cluster.run("scontrol", "show", "job", "1", check=False) == ""
