"""What is known under a root, as far as a plan needs it. Reads files only, and only those of the sweep's own trials."""

from collections.abc import Iterable

from orchestrator import cluster
from orchestrator.census import read_status
from orchestrator.layout import Layout
from orchestrator.lifecycle import State
from orchestrator.plan import Mode, Plan, plan
from orchestrator.sweep import Sweep


def known_states(layout: Layout, trial_ids: Iterable[str]) -> dict[str, State]:
    """The states of those trials that have a folder; one whose preempted job waits in SLURM's queue is queued."""
    folders = (layout.trial(trial_id) for trial_id in trial_ids)
    states = {folder.id: read_status(folder).state for folder in folders if folder.value_file.exists()}
    waiting = cluster.seen(layout) if State.PREEMPTED in states.values() else {}
    return {
        trial_id: State.QUEUED if state is State.PREEMPTED and trial_id in waiting else state
        for trial_id, state in states.items()
    }


def plan_sweep(layout: Layout, sweep: Sweep, *, mode: Mode = Mode.SUBMIT) -> Plan:
    """What submitting (or resuming) this sweep would do now."""
    return plan(sweep, known_states(layout, [cell.trial.id for cell in sweep.cells]), mode=mode)
