"""Who belongs to a cluster, on real processes."""

import os
import signal
import time
from pathlib import Path

import pytest

from orchestrator.devcluster import processes
from orchestrator.devcluster.processes import CLUSTER, DAEMON, Identity

LAB = Path("/tmp/iwm-no-such-lab")


@pytest.fixture
def spawn(tmp_path):
    """Starts a shell line; kills what is left of it."""
    started = []

    def start(line="exec sleep 60", **env):
        log = tmp_path / "log"
        made = processes.spawn(["sh", "-c", line], env={"PATH": os.environ["PATH"], **env}, folder=tmp_path, log=log)
        started.append(made)
        _until(lambda: _command(made.pid) not in (b"env", _command(os.getpid())))
        return made

    yield start
    for one in started:
        if one.alive:
            os.killpg(one.pid, signal.SIGKILL)
            os.waitpid(one.pid, 0)


def _command(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]


def _until(found):
    deadline = time.monotonic() + 10
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def daemon(name, lab=LAB):
    return {CLUSTER: str(lab), DAEMON: name}


def job(node, lab=LAB):
    return {"SLURM_CONF": f"{lab}/slurm.conf", "SLURM_JOB_ID": "7", "SLURMD_NODENAME": node}


def test_an_identity_is_a_pid_and_the_time_of_its_start(spawn, tmp_path):
    one = spawn()
    assert one.alive
    assert not Identity(one.pid, "1").alive
    one.write(tmp_path / "id")
    assert Identity.read(tmp_path / "id") == one
    os.kill(one.pid, signal.SIGKILL)
    _until(lambda: not one.alive)
    assert Identity.read(tmp_path / "none") is None


def test_it_writes_into_its_log_in_a_session_of_its_own(spawn, tmp_path):
    one = spawn("pwd; echo wrong >&2; exec sleep 60")
    _until(lambda: (tmp_path / "log").read_text() == f"{tmp_path}\nwrong\n")
    assert os.getsid(one.pid) == one.pid


def test_members_are_daemons_jobs_and_their_children(spawn):
    controller, node, step = spawn(**daemon("slurmctld")), spawn(**daemon("n1")), spawn(**job("n1"))
    for stranger in (daemon, job):
        spawn(**stranger("n1", lab=LAB / "other"))
    spawn(CLUSTER=str(LAB), SLURM_CONF=f"{LAB}/slurm.conf")
    parent = spawn("env -i sleep 60 & wait", **daemon("n2"))
    _until(lambda: len(processes.members(LAB, daemon="n2")) == 2)
    assert set(processes.members(LAB, daemon="n1")) == {node.pid, step.pid}
    assert {controller.pid, node.pid, step.pid, parent.pid} < set(processes.members(LAB))
    assert len(processes.members(LAB)) == 5
    assert processes.job_processes(LAB) == [step.pid]


def test_they_end_all_together(spawn):
    one, two = spawn(**daemon("n1")), spawn("trap '' TERM INT HUP; env -i sleep 60 & wait", **job("n1"))
    processes.kill(lambda: processes.members(LAB))
    assert not one.alive
    assert not two.alive
    processes.reap(one.pid)
    processes.reap(two.pid)
    assert not Path(f"/proc/{one.pid}").exists()
