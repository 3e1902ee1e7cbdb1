"""What a trial waits for: an evaluation starts once its parent has finished. Until then it has a claim and no job.

    Claimed.after = the parent      ->  queued, without a job: no slot, no place in SLURM's queue, no GPU
    the parent has finished         ->  the keeper starts it, or `slurm_jobs` submits it under a claim of its own

A parent that failed or was cancelled may be resumed, so whoever waits for it goes on waiting, and says so.
"""

from collections.abc import Iterable, Mapping

from orchestrator.records.layout import Layout
from orchestrator.records.scan import read_status
from orchestrator.trial.lifecycle import State, TrialStatus

MOVING = frozenset({State.QUEUED, State.RUNNING, State.PREEMPTED, State.FINISHED})
"""States of a parent out of which the trial behind it may start without a person's help."""

Statuses = Mapping[str, TrialStatus]
"""By trial id. Parents are looked up here first, and in their files where they are not among these."""


def unfinished(layout: Layout, trial_ids: Iterable[str]) -> set[str]:
    """Those of these trials that have not finished."""
    return {trial_id for trial_id, state in _states(layout, trial_ids).items() if state is not State.FINISHED}


def waiting(layout: Layout, statuses: Statuses) -> set[str]:
    """Those of these trials that have no job because their parent has not finished."""
    return {key for key, state in _parents(layout, statuses).items() if state is not State.FINISHED}


def stuck(layout: Layout, statuses: Statuses) -> set[str]:
    """Those that wait for a parent that does not move by itself: held, failed, cancelled or never started."""
    return {key for key, state in _parents(layout, statuses).items() if state not in MOVING}


def remarks(layout: Layout, statuses: Statuses) -> dict[str, str]:
    """What each trial that waits is waiting for, by trial id: for tables."""
    states = {key: state for key, state in _parents(layout, statuses).items() if state is not State.FINISHED}
    return {key: _remark(statuses[key].after[:8], state) for key, state in states.items()}


def _remark(parent: str, state: State) -> str:
    return f"waits for {parent}" + _COMMENTS.get(state, "").format(parent)


_COMMENTS = {
    State.FAILED: ", which failed: iwm resume {0}",
    State.CANCELLED: ", which was cancelled: iwm resume {0}",
    State.HELD: ", which is held: iwm release {0}",
    State.PLANNED: ", which nobody has started",
}


def _parents(layout: Layout, statuses: Statuses) -> dict[str, State]:
    """Where the parent stands of each trial that may be waiting for one, by the trial's id."""
    behind = {key: status.after for key, status in statuses.items() if status.may_wait}
    states = _states(layout, behind.values(), known=statuses)
    return {key: states[parent] for key, parent in behind.items()}


def _states(layout: Layout, trial_ids: Iterable[str], *, known: Statuses | None = None) -> dict[str, State]:
    """Each trial's state; each is read once."""
    known = known or {}
    return {
        trial_id: known[trial_id].state if trial_id in known else read_status(layout.trial(trial_id)).state
        for trial_id in set(trial_ids)
    }
