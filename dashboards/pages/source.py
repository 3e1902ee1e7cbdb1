"""The data of the pages: the store, which holds every number, and a trial's folder, which holds its logs and pictures.

A sweep stays in memory between two requests, with what was computed from it, and only trials whose files have changed
are read again. A trial's folder is opened by an id of sixteen hexadecimal digits, so no request names a path.
"""

import re
import threading
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property

from dashboards.cells import Table, tabulate
from dashboards.cost import Cost, cost_of, total
from dashboards.pages.lanes import lanes
from dashboards.report.content import compose
from dashboards.report.document import Document
from orchestrator.errors import UnknownSweepError, UnknownTrialError
from orchestrator.planning.forecast import Forecast, outlook
from orchestrator.records import slurm_seen
from orchestrator.records.layout import Layout
from orchestrator.records.logs import log_tails, pictures
from orchestrator.store.database import SINGLE, TRIAL, Store
from orchestrator.store.rows import Shipment
from orchestrator.trial.lifecycle import GOING_ON, State
from orchestrator.trial.results import SweepResults, TrialResult
from orchestrator.trial.sweep import SweepRecord

TRIAL_ID = re.compile(r"[0-9a-f]{16}")
KEPT = 4
"""Sweeps that stay in memory, each of up to ten thousand trials."""


@dataclass(frozen=True, kw_only=True)
class Overview:
    """A sweep in the list of all."""

    record: SweepRecord
    states: Counter[State]


@dataclass(frozen=True)
class Look:
    """A sweep at one moment; what is kept here depends on its results alone, never on the time."""

    results: SweepResults

    @property
    def record(self) -> SweepRecord:
        """The sweep."""
        return self.results.record

    @cached_property
    def table(self) -> Table:
        """The sweep's cells."""
        return tabulate(self.results)

    @cached_property
    def report(self) -> Document:
        """The sweep's report."""
        return compose(self.results)

    @cached_property
    def states(self) -> Counter[State]:
        """The number of trials in each state."""
        return Counter(trial.state for trial in self.results.trials)

    @property
    def goes_on(self) -> bool:
        """Return True where a trial has not ended, even if it waits for a person."""
        return any(self.states[state] for state in GOING_ON)

    @cached_property
    def forecast(self) -> Forecast:
        """The work that is left."""
        return outlook(self.results)

    @cached_property
    def cost(self) -> Cost:
        """The cost so far."""
        return total(cost_of(trial.status) for trial in self.results.trials)

    def waited_s(self, now: float) -> float:
        """Seconds before and between attempts, over all trials, until now: queued, waiting or held."""
        before, since = self._waits
        return before + sum(max(0.0, now - t) for t in since)

    @cached_property
    def _waits(self) -> tuple[float, tuple[float, ...]]:
        """Seconds of waits that are over, and the starts of those that are not."""
        shown = lanes(self.results, now=0.0)
        since = tuple(lane.waits_since_t for lane in shown if lane.waits_since_t is not None)
        return sum(lane.waited_s for lane in shown), since


class Source:
    """One root. Safe for several threads."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._store: Store | None = None
        self._kept: dict[str, Look] = {}
        self._lock = threading.Lock()

    @property
    def store(self) -> Store:
        """The store, opened at first use: the tables may not exist yet when the server starts.

        Raises:
            DatabaseError: the database cannot be reached.
        """
        with self._lock:
            if self._store is None:
                self._store = Store.open(self.layout.database_url)
            return self._store

    def overviews(self) -> tuple[Overview, ...]:
        """Every sweep, newest first, then the trials that belong to none, if there are any."""
        states = self.store.states()
        records = self.store.sweep_records()
        inside = {member.id for record in records for member in record.trials}
        found = [
            Overview(record=record, states=Counter(states[key.id] for key in record.trials if key.id in states))
            for record in reversed(records)
        ]
        single = Counter(state for key, state in states.items() if key not in inside)
        return (*found, *([Overview(record=SINGLE, states=single)] if single else []))

    def look(self, sweep_id: str) -> Look:
        """A sweep as it is now; the same object as last time where no trial has changed.

        Raises:
            UnknownSweepError: no such sweep.
        """
        if not sweep_id.isprintable():  # PostgreSQL refuses some characters, and no sweep id has them
            raise UnknownSweepError("a sweep id has printable characters only")
        if sweep_id == SINGLE.id:  # each trial in a cell of its own: they are no seeds of one another
            single = self.store.single_trials()
            return Look(replace(single, record=replace(single.record, axes=(TRIAL,))))
        with self._lock:
            before = self._kept.get(sweep_id)
        store, old = self.store, before and before.results
        results = store.results_of(old.record, before=old) if old else store.results(sweep_id)
        if before and not results.trials and sweep_id not in self.store.sweep_ids():
            with self._lock:
                self._kept.pop(sweep_id, None)
            raise UnknownSweepError(f"sweep '{sweep_id}' no longer exists")
        look = before if before and before.results is results else Look(results)
        with self._lock:
            self._kept.pop(sweep_id, None)
            self._kept[sweep_id] = look
            while len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
        return look

    def shipment(self, trial_id: str) -> Shipment:
        """A trial, its overrides in each sweep, and its run in MLflow.

        Raises:
            UnknownTrialError: no such trial.
        """
        if not TRIAL_ID.fullmatch(trial_id):
            raise UnknownTrialError("a trial id has sixteen hexadecimal digits")
        return self.store.shipment(trial_id)

    def slurm_seen(self, trial_id: str) -> dict[str, str]:
        """SLURM's last report on the trial's job: `state`, `reason`, `node`; empty where there is none."""
        return slurm_seen.read(self.layout).get(trial_id, {})

    def log_tails(self, trial_id: str) -> tuple[tuple[str, str], ...]:
        """(name, last lines) of the trial's newest logs, the newest first."""
        return log_tails(self.layout.trial(_checked(trial_id)))

    def pictures(self, trial_id: str) -> tuple[str, ...]:
        """Names of the trial's pictures."""
        return tuple(pictures(self.layout.trial(_checked(trial_id))))

    def picture(self, trial_id: str, name: str) -> bytes | None:
        """A picture of the trial; None where there is none of that name."""
        found = pictures(self.layout.trial(_checked(trial_id))).get(name)
        return found.read_bytes() if found else None


def trial_of(shipment: Shipment) -> TrialResult:
    """The trial by itself, with the overrides of its newest sweep."""
    overrides = shipment.sweeps[-1][1].overrides if shipment.sweeps else {}
    return TrialResult(id=shipment.id, overrides=overrides, config=shipment.config, status=shipment.status)


def _checked(trial_id: str) -> str:
    assert TRIAL_ID.fullmatch(trial_id), "ids are checked where they come in"
    return trial_id
