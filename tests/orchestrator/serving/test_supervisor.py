"""Whichever process ends first, the supervisor leaves none of the group behind."""

import os
import signal
import subprocess
import sys

import pytest

from tests.e2e.conftest import until

STUBBORN = """
import os, signal, sys, time
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
print("up", flush=True)
{then}
"""
"""A parent as MLflow's is, and a child that does not go with it."""


@pytest.fixture
def start():
    supervisors = []

    def start(then):
        command = [
            sys.executable,
            "-m",
            "orchestrator.serving.supervisor",
            sys.executable,
            "-c",
            STUBBORN.format(then=then),
        ]
        supervisor = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        supervisors.append(supervisor)
        assert supervisor.stdout
        assert supervisor.stdout.readline() == "up\n"
        return supervisor

    yield start
    for supervisor in supervisors:
        supervisor.kill()
        supervisor.wait()
        supervisor.stdin.close()
        supervisor.stdout.close()


def is_gone(group):
    """Return True if no process of the group runs."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                state, _, of_group = file.read().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(of_group) == group and state != "Z":
            return False
    return True


def test_all_end_when_the_pipe_closes(start):
    supervisor = start("time.sleep(60)")
    supervisor.stdin.close()
    until(lambda: is_gone(supervisor.pid))
    assert supervisor.wait() == -signal.SIGKILL


def test_all_end_on_a_signal(start):
    supervisor = start("time.sleep(60)")
    supervisor.terminate()
    until(lambda: is_gone(supervisor.pid))


def test_all_end_with_the_command_and_its_exit_code_is_told(start):
    supervisor = start("sys.exit(3)")
    until(lambda: is_gone(supervisor.pid))
    assert supervisor.stdout.read() == "exit code 3\n"


def test_it_is_small():
    code = "import orchestrator.serving.supervisor, sys; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"sqlalchemy", "mlflow", "numpy", "typer"} & set(told.stdout.split())
