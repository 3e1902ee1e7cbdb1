"""`iwm train`: one trial in this process, with the same folder, journal and checkpoints as under any launcher."""

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from iwm_core.events import Event, Finished, Preempted, Step, to_json
from iwm_core.training.place import Place
from orchestrator.errors import BusyError
from orchestrator.host.console import err
from orchestrator.host.locks import is_held
from orchestrator.host.signals import stop_flag
from orchestrator.launching import leases, slots
from orchestrator.records import journal
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.records.scan import read_status
from orchestrator.trial.launchers import FOREGROUND
from orchestrator.trial.lifecycle import State
from orchestrator.trial.sweep import Cell
from orchestrator.worker import workers
from orchestrator.worker.attempt import Job, LeaseLost, Superseded, run_attempt

if TYPE_CHECKING:
    from iwm_core.training.distributed import World

ALONE = Place()


@dataclass(frozen=True)
class Ended:
    """How `iwm train` ended; `reused` if the trial had finished before."""

    trial_id: str
    event: Finished | Preempted
    reused: bool = False

    @property
    def finished(self) -> bool:
        """True if the trial is complete."""
        return isinstance(self.event, Finished)

    def to_json(self) -> dict[str, Any]:
        """The event as in its journal line."""
        return json.loads(to_json(self.event))

    def sentence(self) -> str:
        """The summary that `iwm train` prints."""
        if isinstance(self.event, Preempted):
            where = f"step {self.event.step} ({self.event.signal})"
            return f"trial {self.trial_id} stopped at {where}; run the same command to resume it"
        figures = ", ".join(f"{key} {value:.4g}" for key, value in self.event.metrics.items())
        how = "had finished before" if self.reused else "finished"
        return f"trial {self.trial_id} {how}: {figures}\nweights_sha256 {self.event.weights_sha256}"


def train_here(layout: Layout, cell: Cell, *, place: Place = ALONE) -> Ended:
    """Runs the trial in this process until it finishes or a signal stops it; as the first of all ranks.

    Raises:
        BusyError: the trial is under way elsewhere.
        CoreError: training failed.
    """
    with workers.leading(place) as world:
        return _train(layout, cell, world=world)


def follow_here(cell: Cell, *, place: Place) -> None:
    """Trains beside the first rank until that ends.

    Raises:
        CoreError: training failed.
    """
    with stop_flag() as stop:
        workers.follow(cell.trial.config, cell.resources, place=place, should_stop=stop)


def _train(layout: Layout, cell: Cell, *, world: "World | None") -> Ended:
    folder = leases.write_trial(layout, cell.trial)
    if done := finished_event(folder):
        return Ended(cell.trial.id, done, reused=True)
    token = leases.new_token()
    slots.reconcile(layout, {folder.id: read_status(folder)})  # records an attempt that a killed process left behind
    untouched = frozenset[State]() if is_held(folder.worker_lock) else frozenset({State.QUEUED})
    claimed = leases.claim(folder, resources=cell.resources, token=token, launcher=FOREGROUND, also_from=untouched)
    if not claimed:
        state = read_status(folder).state
        raise BusyError(f"trial {folder.id} is {state}; follow it with: iwm logs {folder.id[:8]} -f", value=state)
    with stop_flag() as stop, _Bar(total=cell.trial.config.train.steps) as bar:
        try:
            event = run_attempt(folder, job=Job(token=token), should_stop=stop, listen=bar.listen, world=world)
        except (LeaseLost, Superseded) as reason:
            raise BusyError(f"trial {folder.id}: {reason}", value=folder.id) from reason
    return Ended(cell.trial.id, finished_event(folder) or event)


def finished_event(folder: TrialFolder) -> Finished | None:
    """The `finished` event of the lowest attempt that has one."""
    journals = journal.read_journals(folder)
    found = [event for number in sorted(journals) for event in journals[number] if isinstance(event, Finished)]
    return found[0] if found else None


class _Bar:
    """A progress bar on standard error, if that is a terminal."""

    def __init__(self, *, total: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=err(), disable=not sys.stderr.isatty())
        self._task = self._progress.add_task("train", total=total)

    def listen(self, event: Event) -> None:
        """Moves the bar."""
        if isinstance(event, Step):
            loss = event.metrics.get("loss", float("nan"))
            self._progress.update(self._task, completed=event.step, description=f"loss {loss:.4f}")

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()
