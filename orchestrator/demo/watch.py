"""Following the trials of the demo: bars on a terminal, a line for each trial that ends."""

import sys
from collections import Counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from orchestrator.errors import IwmError
from orchestrator.host import console
from orchestrator.records.layout import Layout
from orchestrator.records.scan import Census
from orchestrator.trial.lifecycle import ENDED, State, TrialStatus
from orchestrator.trial.sweep import Cell, Sweep


class Watch:
    """Progress bars over the trials of a sweep: one for all, one for each that runs."""

    def __init__(self, layout: Layout, sweep: Sweep, *, say: Console) -> None:
        self._census, self._sweep = Census(layout), sweep
        columns = (
            TextColumn("{task.description:<44}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self.progress = Progress(*columns, console=say, disable=not sys.stderr.isatty())
        self._all = self.progress.add_task("finished", total=len(sweep.cells))
        self._bars: dict[str, TaskID] = {}
        self._told: dict[str, State] = {}

    def look(self) -> dict[str, TrialStatus]:
        """The statuses now, drawn."""
        statuses = {cell.trial.id: self._census.status(cell.trial.id) for cell in self._sweep.cells}
        for cell in self._sweep.cells:
            self._draw(cell, statuses[cell.trial.id])
        self.progress.update(self._all, completed=sum(status.state in ENDED for status in statuses.values()))
        return statuses

    def _draw(self, cell: Cell, status: TrialStatus) -> None:
        """A bar while it runs; one line when it ends, which is all that a log file shows."""
        trial_id, name = cell.trial.id, describe(cell)
        if status.state is State.RUNNING:
            bar = self._bars.get(trial_id)
            if bar is None:
                bar = self._bars[trial_id] = self.progress.add_task(name, total=status.total_steps)
            self.progress.update(bar, completed=status.step)
        elif (bar := self._bars.pop(trial_id, None)) is not None:
            self.progress.remove_task(bar)
        if status.state in ENDED and self._told.get(trial_id) is not status.state:
            mrr = console.show(status.metrics.get("mrr"))
            self.progress.console.print(f"{status.state:<9} {trial_id[:8]}  {name:<40} MRR {mrr}")
            self._told[trial_id] = status.state


def describe(cell: Cell) -> str:
    """`feature, strength 1, depth 2`."""
    return ", ".join(
        f"{key.rpartition('.')[2]} {value:g}" if isinstance(value, int | float) else str(value)
        for key, value in cell.overrides.items()
    )


def is_ripe(status: TrialStatus) -> bool:
    """In its first attempt, with a checkpoint behind it and not at its end."""
    if status.state is not State.RUNNING or len(status.attempts) != 1:
        return False
    return 0 < status.attempts[0].checkpoint_step < status.step < status.total_steps


def check(statuses: dict[str, TrialStatus]) -> None:
    counted = Counter(status.state for status in statuses.values())
    if counted[State.FINISHED] == len(statuses):
        return
    errors = [status.error for status in statuses.values() if status.error]
    reason = f": {errors[0]}" if errors else ""
    raise IwmError(f"{len(statuses) - counted[State.FINISHED]} of {len(statuses)} trials did not finish{reason}")
