"""What a plan needs to know is read from the files of its own trials, or was read before."""

import json

from iwm_core.config import TrialConfig
from iwm_core.events import Preempted, Started
from orchestrator.lifecycle import State
from orchestrator.planning import known_states, plan_sweep
from orchestrator.sweep import Cell, Sweep
from orchestrator.trial import Trial

CELLS = tuple(Cell(Trial(TrialConfig(seed=seed)), {"seed": seed}) for seed in range(3))
SWEEP = Sweep("three", ("seed",), CELLS)


def test_only_trials_with_a_folder_are_known(on_disk):
    on_disk.undisturbed(on_disk.trial(seed=0))
    on_disk.attempt(on_disk.trial(seed=1), [Started()]).close()
    ids = [cell.trial.id for cell in CELLS]
    assert known_states(on_disk.layout, ids) == {ids[0]: State.FINISHED, ids[1]: State.RUNNING}
    assert plan_sweep(on_disk.layout, SWEEP).counts == {"submit": 1, "resume": 0, "reuse": 1, "skip": 1}


def test_what_was_read_before_is_not_read_again(on_disk):
    on_disk.undisturbed(on_disk.trial(seed=0))
    on_disk.trial(seed=1)
    read = {CELLS[0].trial.id: State.PREEMPTED, "of another sweep": State.RUNNING}
    planned = plan_sweep(on_disk.layout, SWEEP, read=read)
    assert [item.state for item in planned.trials] == [State.PREEMPTED, State.QUEUED, State.PLANNED]


def test_a_preempted_trial_whose_job_waits_in_slurm_is_queued(on_disk):
    folder = on_disk.trial(seed=0)
    on_disk.attempt(folder, [Started(), Preempted()]).close()
    assert known_states(on_disk.layout, [folder.id]) == {folder.id: State.PREEMPTED}
    on_disk.layout.slurm_seen.write_text(json.dumps({folder.id: {"state": "PENDING"}}))
    assert known_states(on_disk.layout, [folder.id]) == {folder.id: State.QUEUED}
    read = {folder.id: State.PREEMPTED}
    assert plan_sweep(on_disk.layout, SWEEP, read=read).trials[0].state is State.QUEUED
