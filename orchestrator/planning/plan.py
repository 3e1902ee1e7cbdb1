"""What submitting or resuming a sweep would do, trial by trial. `plan` is pure, `plan_sweep` reads files.

| state                            | submit  | resume  |
|----------------------------------|---------|---------|
| planned                          | submit  | submit  |
| preempted, failed                | resume  | resume  |
| cancelled                        | skip    | resume  |
| finished                         | reuse   | reuse   |
| queued, running, held            | skip    | skip    |
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from orchestrator.records import slurm_seen
from orchestrator.records.layout import Layout
from orchestrator.records.scan import read_outline
from orchestrator.trial.lifecycle import State, TrialStatus
from orchestrator.trial.sweep import Cell, Scalar, Sweep


class Action(StrEnum):
    """What happens to one trial."""

    SUBMIT = "submit"
    RESUME = "resume"
    REUSE = "reuse"
    SKIP = "skip"


class Mode(StrEnum):
    """Which verb is asking."""

    SUBMIT = "submit"
    RESUME = "resume"


_ACTIONS = {
    State.PLANNED: Action.SUBMIT,
    State.PREEMPTED: Action.RESUME,
    State.FAILED: Action.RESUME,
    State.FINISHED: Action.REUSE,
    State.QUEUED: Action.SKIP,
    State.RUNNING: Action.SKIP,
    State.HELD: Action.SKIP,
}


def action_for(state: State, *, mode: Mode) -> Action:
    """The table above."""
    if state is State.CANCELLED:
        return Action.RESUME if mode is Mode.RESUME else Action.SKIP
    return _ACTIONS[state]


@dataclass(frozen=True)
class Planned:
    """One trial and what will be done about it."""

    cell: Cell
    state: State
    action: Action


@dataclass(frozen=True)
class Plan:
    """A sweep and what will be done about each of its trials."""

    sweep: Sweep
    trials: tuple[Planned, ...]

    @property
    def to_start(self) -> tuple[Cell, ...]:
        """The cells that need a job."""
        return tuple(item.cell for item in self.trials if item.action in (Action.SUBMIT, Action.RESUME))

    @property
    def counts(self) -> dict[str, int]:
        """Trials per action, every action named."""
        counted = Counter(item.action for item in self.trials)
        return {action.value: counted[action] for action in Action}

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `iwm plan --json`."""
        trials = [_row(item.cell.trial.id, item.cell.overrides, item.action) for item in self.trials]
        return {"sweep": self.sweep.name, "trials": trials, "counts": self.counts}


def _row(trial_id: str, overrides: Mapping[str, Scalar], action: Action) -> dict[str, Any]:
    return {"id": trial_id, "overrides": dict(overrides), "action": action.value}


def plan(sweep: Sweep, known: Mapping[str, State], *, mode: Mode = Mode.SUBMIT) -> Plan:
    """The plan for this sweep, given the states of the trials that are already known."""
    states = ((cell, known.get(cell.trial.id, State.PLANNED)) for cell in sweep.cells)
    return Plan(sweep, tuple(Planned(cell, state, action_for(state, mode=mode)) for cell, state in states))


# What is known under a root, as far as a plan needs it: files only, and only those of the sweep's own trials.

NOTHING_READ: Mapping[str, State] = {}


def known_states(layout: Layout, trial_ids: Iterable[str]) -> dict[str, State]:
    """The states of those trials that have a folder; one whose preempted job waits in SLURM's queue is queued."""
    return _as_slurm_has_it(layout, {key: status.state for key, status in outlines(layout, trial_ids).items()})


def outlines(layout: Layout, trial_ids: Iterable[str]) -> dict[str, TrialStatus]:
    """How far those of these trials are that have a folder."""
    folders = (layout.trial(trial_id) for trial_id in trial_ids)
    return {folder.id: read_outline(folder) for folder in folders if folder.value_file.exists()}


def _as_slurm_has_it(layout: Layout, states: Mapping[str, State]) -> dict[str, State]:
    waiting = slurm_seen.read(layout) if State.PREEMPTED in states.values() else {}
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
