"""What is known under a root, as far as a plan needs it. Reads files only, and only those of the sweep's own trials."""

from collections.abc import Iterable, Mapping

from orchestrator import cluster
from orchestrator.census import read_outline
from orchestrator.layout import Layout
from orchestrator.lifecycle import State, TrialStatus
from orchestrator.plan import Mode, Plan, plan
from orchestrator.sweep import Sweep

NOTHING_READ: Mapping[str, State] = {}


def known_states(layout: Layout, trial_ids: Iterable[str]) -> dict[str, State]:
    """The states of those trials that have a folder; one whose preempted job waits in SLURM's queue is queued."""
    return _as_slurm_has_it(layout, {key: status.state for key, status in outlines(layout, trial_ids).items()})


def outlines(layout: Layout, trial_ids: Iterable[str]) -> dict[str, TrialStatus]:
    """How far those of these trials are that have a folder."""
    folders = (layout.trial(trial_id) for trial_id in trial_ids)
    return {folder.id: read_outline(folder) for folder in folders if folder.value_file.exists()}


def _as_slurm_has_it(layout: Layout, states: Mapping[str, State]) -> dict[str, State]:
    waiting = cluster.seen(layout) if State.PREEMPTED in states.values() else {}
    return {
        trial_id: State.QUEUED if state is State.PREEMPTED and trial_id in waiting else state
        for trial_id, state in states.items()
    }


def plan_sweep(
    layout: Layout, sweep: Sweep, *, mode: Mode = Mode.SUBMIT, read: Mapping[str, State] = NOTHING_READ
) -> Plan:
    """What submitting (or resuming) this sweep would do now.

    `read` are states that were read a moment ago, so that only the other trials' files are read: whoever then starts a
    trial looks at its files once more.
    """
    unread = [cell.trial.id for cell in sweep.cells if cell.trial.id not in read]
    return plan(sweep, _as_slurm_has_it(layout, read) | known_states(layout, unread), mode=mode)
