"""The table of plan.py and its JSON, and what is read for a plan."""

import json

import pytest

from iwm_core.config import TrialConfig
from iwm_core.events import Preempted, Started
from orchestrator.planning.plan import Action, Mode, action_for, plan, plan_sweep
from orchestrator.trial.lifecycle import RUNNABLE, State
from orchestrator.trial.sweep import Cell, Sweep
from orchestrator.trial.value import Trial

CELLS = tuple(Cell(Trial(TrialConfig(seed=seed)), {"seed": seed}) for seed in range(3))
SWEEP = Sweep("three", ("seed",), CELLS)


def test_an_unknown_trial_is_submitted():
    assert plan(SWEEP, {}).counts == {"submit": 3, "resume": 0, "reuse": 0, "skip": 0}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("mode", Mode)
def test_only_what_is_not_under_way_is_started(state, mode):
    starts = action_for(state, mode=mode) in (Action.SUBMIT, Action.RESUME)
    assert starts == (state in RUNNABLE and (mode is Mode.RESUME or state is not State.CANCELLED))


def test_json():
    known = {CELLS[0].trial.id: State.FINISHED, CELLS[1].trial.id: State.PREEMPTED}
    told = plan(SWEEP, known).to_dict()
    assert [row["action"] for row in told["trials"]] == ["reuse", "resume", "submit"]
    assert told["trials"][0] == {"id": CELLS[0].trial.id, "overrides": {"seed": 0}, "action": "reuse"}
    assert told["counts"] == {"submit": 1, "resume": 1, "reuse": 1, "skip": 0}


def test_the_same_sweep_has_the_same_id():
    assert SWEEP.id == Sweep("three", ("seed",), CELLS, description="told otherwise").id
    assert SWEEP.id != Sweep("three", ("seed",), CELLS[:2]).id


def test_only_trials_with_a_folder_are_known(on_disk):
    on_disk.undisturbed(on_disk.trial(seed=0))
    on_disk.attempt(on_disk.trial(seed=1), [Started()]).close()
    planned = plan_sweep(on_disk.layout, SWEEP)
    assert [item.state for item in planned.trials] == [State.FINISHED, State.RUNNING, State.PLANNED]
    assert planned.counts == {"submit": 1, "resume": 0, "reuse": 1, "skip": 1}


def test_what_was_read_before_is_not_read_again(on_disk):
    on_disk.undisturbed(on_disk.trial(seed=0))
    on_disk.trial(seed=1)
    read = {CELLS[0].trial.id: State.PREEMPTED, "of another sweep": State.RUNNING}
    planned = plan_sweep(on_disk.layout, SWEEP, read=read)
    assert [item.state for item in planned.trials] == [State.PREEMPTED, State.QUEUED, State.PLANNED]


def test_a_preempted_trial_whose_job_waits_in_slurm_is_queued(on_disk):
    folder = on_disk.trial(seed=0)
    on_disk.attempt(folder, [Started(), Preempted()]).close()
    assert plan_sweep(on_disk.layout, SWEEP).trials[0].state is State.PREEMPTED
    on_disk.layout.slurm_seen.write_text(json.dumps({folder.id: {"state": "PENDING"}}))
    for read in ({}, {folder.id: State.PREEMPTED}):
        assert plan_sweep(on_disk.layout, SWEEP, read=read).trials[0].state is State.QUEUED
