"""What is known under a root, as far as a plan needs it. Reads files only, and only those of the sweep's own trials."""

from collections.abc import Iterable

from orchestrator.census import read_status
from orchestrator.layout import Layout
from orchestrator.lifecycle import State
from orchestrator.plan import Mode, Plan, plan
from orchestrator.sweep import Sweep


def known_states(layout: Layout, trial_ids: Iterable[str]) -> dict[str, State]:
    """The states of those trials that have a folder."""
    folders = (layout.trial(trial_id) for trial_id in trial_ids)
    return {folder.id: read_status(folder).state for folder in folders if folder.value_file.exists()}


def plan_sweep(layout: Layout, sweep: Sweep, *, mode: Mode = Mode.SUBMIT) -> Plan:
    """What submitting (or resuming) this sweep would do now."""
    return plan(sweep, known_states(layout, [cell.trial.id for cell in sweep.cells]), mode=mode)
