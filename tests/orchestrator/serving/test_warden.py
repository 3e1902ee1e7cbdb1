"""Whatever ends, the warden leaves nobody of the group behind."""

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
    wardens = []

    def start(then):
        command = [
            sys.executable,
            "-m",
            "orchestrator.serving.warden",
            sys.executable,
            "-c",
            STUBBORN.format(then=then),
        ]
        warden = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        wardens.append(warden)
        assert warden.stdout
        assert warden.stdout.readline() == "up\n"
        return warden

    yield start
    for warden in wardens:
        warden.kill()
        warden.wait()
        warden.stdin.close()
        warden.stdout.close()


def is_gone(group):
    """Whether no process of the group runs."""
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
    warden = start("time.sleep(60)")
    warden.stdin.close()
    until(lambda: is_gone(warden.pid))
    assert warden.wait() == -signal.SIGKILL


def test_all_end_on_a_signal(start):
    warden = start("time.sleep(60)")
    warden.terminate()
    until(lambda: is_gone(warden.pid))


def test_all_end_with_the_command_and_its_exit_code_is_told(start):
    warden = start("sys.exit(3)")
    until(lambda: is_gone(warden.pid))
    assert warden.stdout.read() == "exit code 3\n"


def test_it_is_small():
    code = "import orchestrator.serving.warden, sys; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"sqlalchemy", "mlflow", "numpy", "typer"} & set(told.stdout.split())
