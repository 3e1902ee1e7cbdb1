"""`iwm verify-resume` as a person runs it: real runs, really killed, and nothing left afterwards."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import until
from tests.fakes.tiny import TINY


@pytest.fixture
def start(tmp_path):
    """Starts the verb with its temporary folders under `tmp_path`."""
    started = []

    def start(*words):
        command = [sys.executable, "-m", "orchestrator.cli", "verify-resume", *words]
        environment = os.environ | {"TMPDIR": str(tmp_path)}
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def workers(folder):
    """Processes that name this folder on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if f"{folder}/iwm-verify-".encode() in command:
                found.append(int(entry.name))
    return found


def test_killed_and_terminated_the_result_is_the_same(start, tmp_path):
    process = start(*TINY, "--steps", "32", "--json")
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    told = json.loads(out)
    assert (told["verdict"], told["promised"]) == ("equal", "bits")
    assert [one["signal"] for one in told["interruptions"]] == ["SIGKILL", "SIGTERM"]
    assert all(0 < one["resumed_from_step"] <= one["step"] < 32 for one in told["interruptions"])
    assert told["compared"]["repeated_steps"] > 0
    assert told["compared"]["values"] > 32 * 5
    assert not list(tmp_path.glob("iwm-verify-*"))
    assert not workers(tmp_path)


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_itself_it_leaves_nothing(start, tmp_path, by):
    process = start(*TINY, "--steps", "4000")
    until(lambda: list(tmp_path.glob("iwm-verify-*/*/trials/*/journal/*")))
    process.send_signal(by)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert not list(tmp_path.glob("iwm-verify-*"))
    assert not workers(tmp_path)


def test_a_failing_run_says_why(start, tmp_path):
    process = start(*TINY, "optim.lr=1e30", "optim.grad_clip=0")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, "")
    assert "became NaN or infinite" in err
    assert not list(tmp_path.glob("iwm-verify-*"))
