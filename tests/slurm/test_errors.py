"""Out of memory, an exit code, an exception, code that changed: named, and retried within a budget."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.records import journal
from orchestrator.trial.events import Cause, Lost
from orchestrator.trial.lifecycle import State
from tests.slurm.lab import Lab

SITE = {"nodes": 2, "settings": ("JobAcctGatherParams=OverMemoryKill",)}
ENOUGH = "resources.mem_gb=4"
SHORT = "train.steps=150"
REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("orchestrator", "iwm_core", "sweeps")


@pytest.fixture
def lab(new_lab: Callable[..., Lab]) -> Lab:
    """A site that kills who takes more memory than asked for."""
    return new_lab(**SITE)


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A copy of the packages, to be broken between two attempts."""
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, tmp_path / "code" / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "code"


def running(code: Path) -> str:
    """Jobs import this copy. Nothing is cached: what is edited within one second would not be noticed."""
    return f"resources.setup='export PYTHONPATH={code} PYTHONDONTWRITEBYTECODE=1'"


def losses(lab: Lab, trial: str) -> list[Lost]:
    return [event for event in journal.read_control(lab.folder(trial)) if isinstance(event, Lost)]


def shown(lab: Lab, trial: str) -> tuple[str, str]:
    """State and error as `iwm status --json` has them."""
    sweeps = json.loads(lab.iwm("status", "--json"))["sweeps"]
    found = next(member for sweep in sweeps for member in sweep["trials"] if member["id"] == trial)
    return found["state"], found["error"]


def test_a_worker_that_is_killed_goes_on_where_it_was(lab: Lab) -> None:
    trials = lab.submit("seed=0,1", ENOUGH, SHORT)
    ends = dict(zip(trials, ((signal.SIGKILL, Cause.KILLED), (signal.SIGSEGV, Cause.ERROR)), strict=True))
    for trial, (kill, _) in ends.items():
        lab.until_checkpointed(trial)
        os.kill(lab.status(trial).attempts[0].pid, kill)
    lab.until_finished(*trials)
    for trial, (kill, cause) in ends.items():
        assert [attempt.end for attempt in lab.survived(trial).attempts] == ["lost", "finished"]
        (lost,) = losses(lab, trial)
        assert (lost.cause, lost.attempt) == (cause, 0)
        assert f"FAILED {kill.value}:0" in lost.reason


def test_more_memory_than_asked_for_is_tried_once_more_and_then_said(lab: Lab) -> None:
    (trial,) = lab.submit("resources.mem_gb=0.125", "train.steps=20")
    lab.until_state(trial, State.FAILED)
    assert [lost.cause for lost in losses(lab, trial)] == [Cause.KILLED] * 2, lab.account()
    state, error = shown(lab, trial)
    assert state == "failed"
    assert "memory" in error
    lab.submit(ENOUGH, "train.steps=20")
    lab.until_finished(trial)


def test_a_job_that_never_comes_to_its_first_step_says_why(lab: Lab, code: Path) -> None:
    (exits,) = lab.submit("seed=0", "resources.setup='echo out of luck >&2; exit 3'")
    worker = code / "orchestrator" / "worker" / "workers.py"
    worker.write_text("import a_module_that_is_gone\n" + worker.read_text())
    (imports,) = lab.submit("seed=1", ENOUGH, running(code))
    for trial in (exits, imports):
        lab.until_state(trial, State.FAILED)
        assert [lost.cause for lost in losses(lab, trial)] == [Cause.ERROR]
    state, error = shown(lab, exits)
    assert state == "failed"
    assert "FAILED 3:0" in error
    assert "out of luck" in error
    assert "No module named 'a_module_that_is_gone'" in shown(lab, imports)[1]


def test_code_that_changed_between_two_attempts(lab: Lab, code: Path) -> None:
    """Broken: named, and not retried or retried once. Fixed: resumed, with a note about the mixture of code."""
    (given_up,) = lab.submit("seed=0", SHORT, ENOUGH, running(code))
    (again,) = lab.submit("seed=1", SHORT, ENOUGH, running(code), "resources.error_retries=1")
    for trial in (given_up, again):
        lab.until_checkpointed(trial)
    loop = code / "iwm_core" / "pretrain.py"
    sound = loop.read_text()
    broken = sound.replace("    B, workers = run", "    raise RuntimeError('the bug of today')\n    B, workers = run")
    assert broken != sound
    loop.write_text(broken)
    for trial in (given_up, again):
        lab.cluster.run("scontrol", "requeue", lab.status(trial).job_id)
    for trial in (given_up, again):
        lab.until(lambda trial=trial: [a.end for a in lab.status(trial).attempts] == ["preempted", "failed"])
    loop.write_text(sound + "# the same, and yet another\n")
    state, error = shown(lab, given_up)
    assert state == "failed"
    assert "RuntimeError: the bug of today" in error
    assert "pretrain.py" in error
    assert "the bug of today" in lab.iwm("status")
    lab.until_finished(again)
    lab.iwm("resume", given_up)
    lab.until_finished(given_up)
    for trial in (given_up, again):
        status = lab.survived(trial)
        assert [attempt.end for attempt in status.attempts] == ["preempted", "failed", "finished"]
        assert not status.codes_agree
    assert lab.iwm("status").count("attempts ran different code") == 2
