"""Dependencies: an evaluation starts once its parent has finished. Until then it has a claim and no job.

    Claimed.after = the parent      ->  queued, without a job: no slot, no place in SLURM's queue, no GPU
    the parent has finished         ->  the keeper starts it, or `slurm_jobs` submits it under a claim of its own

A parent that failed or was cancelled may be resumed, so a trial behind it keeps waiting, and tables say why.
"""

from collections.abc import Iterable, Mapping

from orchestrator.records.layout import Layout
from orchestrator.records.scan import read_status
from orchestrator.trial.lifecycle import State, TrialStatus

MOVING = frozenset({State.QUEUED, State.RUNNING, State.PREEMPTED, State.FINISHED})
"""States of a parent that can lead to the start of the trial behind it without a person's help."""

Statuses = Mapping[str, TrialStatus]
"""By trial id. A parent that is missing here is read from its files."""


def unfinished(layout: Layout, trial_ids: Iterable[str]) -> set[str]:
    """The trials among these that have not finished."""
    return {trial_id for trial_id, state in _states(layout, trial_ids).items() if state is not State.FINISHED}


def waiting(layout: Layout, statuses: Statuses) -> set[str]:
    """The trials among these that have no job because their parent has not finished."""
    return {key for key, state in _parents(layout, statuses).items() if state is not State.FINISHED}


def stuck(layout: Layout, statuses: Statuses) -> set[str]:
    """The trials among these whose parent is held, failed, cancelled or never started."""
    return {key for key, state in _parents(layout, statuses).items() if state not in MOVING}


def remarks(layout: Layout, statuses: Statuses) -> dict[str, str]:
    """The parent that each waiting trial waits for and why, by trial id, for tables."""
    behind = {key: (statuses[key].after[:8], state) for key, state in _parents(layout, statuses).items()}
    return {
        key: f"waits for {parent}{_COMMENTS.get(state, '').format(parent)}"
        for key, (parent, state) in behind.items()
        if state is not State.FINISHED
    }


_COMMENTS = {
    State.FAILED: ", which failed: iwm resume {0}",
    State.CANCELLED: ", which was cancelled: iwm resume {0}",
    State.HELD: ", which is held: iwm release {0}",
    State.PLANNED: ", which was never started",
}


def _parents(layout: Layout, statuses: Statuses) -> dict[str, State]:
    """The parent's state of each trial that may be waiting for one, by the trial's id."""
    behind = {key: status.after for key, status in statuses.items() if status.may_wait}
    states = _states(layout, behind.values(), known=statuses)
    return {key: states[parent] for key, parent in behind.items()}


def _states(layout: Layout, trial_ids: Iterable[str], *, known: Statuses | None = None) -> dict[str, State]:
    return {key: ((known or {}).get(key) or read_status(layout.trial(key))).state for key in set(trial_ids)}
