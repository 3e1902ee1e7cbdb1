"""The table of plan.py, and its JSON."""

import pytest

from iwm_core.config import TrialConfig
from orchestrator.lifecycle import RUNNABLE, State
from orchestrator.plan import Action, Mode, action_for, plan
from orchestrator.sweep import Cell, Sweep
from orchestrator.trial import Trial

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
