"""Decide what submitting or resuming a sweep does to each trial. `plan` is pure, `plan_sweep` reads files.

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
from orchestrator.trial.sweep import Cell, Sweep


class Action(StrEnum):
    """The action on one trial."""

    SUBMIT = "submit"
    RESUME = "resume"
    REUSE = "reuse"
    SKIP = "skip"


class Mode(StrEnum):
    """The verb."""

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
    """One trial and its action."""

    cell: Cell
    state: State
    action: Action


@dataclass(frozen=True)
class Plan:
    """A sweep and the action for each of its trials."""

    sweep: Sweep
    trials: tuple[Planned, ...]

    @property
    def to_start(self) -> tuple[Cell, ...]:
        """The cells that need a job."""
        return tuple(item.cell for item in self.trials if item.action in (Action.SUBMIT, Action.RESUME))

    @property
    def counts(self) -> dict[str, int]:
        """Trials per action, zeros included."""
        counted = Counter(item.action for item in self.trials)
        return {action.value: counted[action] for action in Action}

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `iwm plan --json`."""
        trials = [
            {"id": item.cell.trial.id, "overrides": dict(item.cell.overrides), "action": item.action.value}
            for item in self.trials
        ]
        return {"sweep": self.sweep.name, "trials": trials, "counts": self.counts}


def plan(sweep: Sweep, known: Mapping[str, State], *, mode: Mode = Mode.SUBMIT) -> Plan:
    """The plan for this sweep, from the states of the trials that exist."""
    states = ((cell, known.get(cell.trial.id, State.PLANNED)) for cell in sweep.cells)
    return Plan(sweep, tuple(Planned(cell, state, action_for(state, mode=mode)) for cell, state in states))


NOTHING_READ: Mapping[str, State] = {}


def outlines(layout: Layout, trial_ids: Iterable[str]) -> dict[str, TrialStatus]:
    """The status, without steps, of each of these trials that has a folder."""
    folders = (layout.trial(trial_id) for trial_id in trial_ids)
    return {folder.id: read_outline(folder) for folder in folders if folder.value_file.exists()}


def plan_sweep(
    layout: Layout, sweep: Sweep, *, mode: Mode = Mode.SUBMIT, read: Mapping[str, State] = NOTHING_READ
) -> Plan:
    """Plan the submission (or resumption) of this sweep. A preempted trial whose job waits in SLURM's queue is queued.

    `read` are states that were read a moment ago; only the other trials' files are read. Starting a trial reads its
    files once more.
    """
    unread = [cell.trial.id for cell in sweep.cells if cell.trial.id not in read]
    states = {**read, **{key: status.state for key, status in outlines(layout, unread).items()}}
    if State.PREEMPTED in states.values():
        waiting = slurm_seen.read(layout).keys()
        states |= {key: State.QUEUED for key in waiting if states.get(key) is State.PREEMPTED}
    return plan(sweep, states, mode=mode)
