"""A sweep in this machine's slots: whichever process is killed, nothing is lost and nothing runs twice."""

import os
import signal
from pathlib import Path

import pytest

from orchestrator.host.locks import is_held
from orchestrator.tracking.client import open_client
from orchestrator.trial.lifecycle import State
from tests.e2e.conftest import until

WORDS = ("pair", "train.steps=60")


def pid_of_keeper(iwm):
    """The process that holds this root's keeper lock."""
    root = str(iwm.layout.root).encode()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{name}/cmdline").read_bytes()
        except OSError:
            continue
        if b"orchestrator.launching.keeper" in command and root in command:
            return int(name)
    return None


def test_killed_worker_and_keeper_lose_nothing(iwm, new_iwm):
    submitted = iwm.json("submit", *WORDS, "resources.slots=1")
    assert submitted["counts"]["submit"] == 2
    assert submitted["mlflow_url"] == "http://127.0.0.1:5000"
    assert submitted["jobs"][0]["trials"] == [trial["id"] for trial in submitted["trials"]]
    assert iwm.json("submit", *WORDS, "resources.slots=1")["counts"] == {
        "submit": 0,
        "resume": 0,
        "reuse": 0,
        "skip": 2,
    }
    first, second = (trial["id"] for trial in submitted["trials"])

    def at_work():
        return next((key for key in (first, second) if has_checkpoint(iwm.status(key))), None)

    victim = until(at_work)
    keeper = pid_of_keeper(iwm)
    assert keeper
    os.kill(keeper, signal.SIGKILL)
    os.kill(iwm.status(victim).attempts[-1].pid, signal.SIGKILL)
    until(lambda: not is_held(iwm.layout.trial(victim).worker_lock))

    trials = iwm.end_of_sweep("pair")  # `status` names the lost worker and starts another keeper
    assert [trial["state"] for trial in trials] == ["finished", "finished"]
    assert iwm.status(victim).attempts[1].resumed_from_step > 0
    assert iwm.status(victim).repeated_steps <= 10
    assert most_at_once(iwm, [first, second]) == 1

    twin = new_iwm("twin")
    twin.json("submit", *WORDS)
    undisturbed = twin.end_of_sweep("pair")
    assert [t["weights_sha256"] for t in trials] == [t["weights_sha256"] for t in undisturbed]
    assert iwm.json("submit", *WORDS)["counts"]["reuse"] == 2

    assert_projections_can_be_made_anew(iwm)
    assert metric_steps(iwm) == metric_steps(twin)


def has_checkpoint(status):
    return status.state is State.RUNNING and status.attempts[-1].checkpoint_step > 0


def most_at_once(iwm, trial_ids):
    """How many attempts were ever alive at the same time, by their own clocks."""
    spans = [(a.started_t, a.last_t) for key in trial_ids for a in iwm.status(key).attempts]
    return max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)


def assert_projections_can_be_made_anew(iwm):
    iwm.run("sync")
    before = iwm.run("report", "pair", "--format", "csv")
    assert before.count("\n") == 3
    for name in ("orchestrator.db", "mlflow.db"):
        for path in iwm.layout.root.glob(name + "*"):
            path.unlink()
    iwm.run("sync", "--rebuild")
    assert iwm.run("report", "pair", "--format", "csv") == before


def metric_steps(iwm):
    """(cell, metric) -> its steps in MLflow, each of which must have exactly one value."""
    iwm.run("sync")
    client = open_client(iwm.layout)
    experiment = client.get_experiment_by_name("iwm")
    assert experiment
    found = {}
    for run in client.search_runs([experiment.experiment_id]):
        for key in (key for key in run.data.metrics if not key.startswith("system/")):
            steps = [metric.step for metric in client.get_metric_history(run.info.run_id, key)]
            assert len(steps) == len(set(steps)), key
            found[run.data.tags["iwm.trial_id"], key] = sorted(steps)
    assert len(found) > 20
    return found


def test_cancel_and_resume(iwm):
    ids = [trial["id"] for trial in iwm.json("submit", "pair", "train.steps=400")["trials"]]
    until(lambda: all(has_checkpoint(iwm.status(key)) for key in ids))
    assert sorted(iwm.json("cancel", "pair")["cancelled"]) == sorted(ids)
    until(lambda: not any(is_held(iwm.layout.trial(key).worker_lock) for key in ids))
    assert {iwm.status(key).state for key in ids} == {State.CANCELLED}
    assert iwm.json("submit", "pair", "train.steps=400")["counts"]["skip"] == 2
    assert iwm.json("resume", ids[0][:8])["resumed"] == [ids[0]]
    until(lambda: iwm.status(ids[0]).state is State.RUNNING)
    assert iwm.status(ids[0]).attempts[-1].resumed_from_step > 0
    iwm.run("cancel", "pair")


def test_a_failing_trial_says_why_and_leaves_its_neighbour_alone(iwm):
    broken = ("pair", "train.steps=20", "optim.lr=1e30", "optim.grad_clip=0")
    iwm.json("submit", *broken)
    trials = iwm.end_of_sweep("pair")
    assert {trial["state"] for trial in trials} == {"failed"}
    assert "became NaN or infinite" in trials[0]["error"]
    assert "Traceback" in iwm.run("logs", trials[0]["id"][:8])


@pytest.mark.parametrize("words", [("report", "pair"), ("cancel", "pair"), ("logs", "abc"), ("resume", "nothing")])
def test_before_anything_was_submitted(iwm, words):
    process = iwm.start(*words)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "its sweeps: none yet" in err
    assert err.count("\n") <= 2
