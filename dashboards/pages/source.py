"""What the pages show: the store, which holds every number, and a trial's folder, which holds its logs and pictures.

A sweep is kept between two requests, with what was made of it, and only trials whose files have changed are read again.
A trial's folder is opened by an id of sixteen hexadecimal digits and nothing else, so no request names a path.
"""

import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace

from dashboards.pages.look import Look
from orchestrator.errors import UnknownSweepError, UnknownTrialError
from orchestrator.records import slurm_seen
from orchestrator.records.layout import Layout
from orchestrator.records.logs import log_tails, pictures
from orchestrator.store.database import SINGLE, TRIAL, Store
from orchestrator.store.rows import Shipment
from orchestrator.trial.lifecycle import Point, State
from orchestrator.trial.results import SweepResults, TrialResult
from orchestrator.trial.sweep import SweepRecord

TRIAL_ID = re.compile(r"[0-9a-f]{16}")
KEPT = 4
"""Sweeps that are kept: at most so many times ten thousand trials."""


@dataclass(frozen=True, kw_only=True)
class Overview:
    """A sweep in the list of all."""

    record: SweepRecord
    states: Counter[State]


class Source:
    """One root. Safe for several threads."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._store: Store | None = None
        self._kept: dict[str, Look] = {}
        self._lock = threading.Lock()

    @property
    def store(self) -> Store:
        """Opened when it is first needed: the tables may not be there when the server starts.

        Raises:
            DatabaseError: out of reach.
        """
        with self._lock:
            if self._store is None:
                self._store = Store.open(self.layout.database_url)
            return self._store

    def overviews(self) -> tuple[Overview, ...]:
        """Every sweep, the newest first, and the trials of none, if there are any, last."""
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
        """A sweep as it is now; the same object as at the last look where no trial has changed.

        Raises:
            UnknownSweepError: there is none of that id.
        """
        if not sweep_id.isprintable():  # PostgreSQL refuses some of that, and no sweep is called so
            raise UnknownSweepError("a sweep's id is printable")
        if sweep_id == SINGLE.id:
            return Look(self._single())
        with self._lock:
            before = self._kept.get(sweep_id)
        store, old = self.store, before and before.results
        results = store.results_of(old.record, before=old) if old else store.results(sweep_id)
        if before and not results.trials and sweep_id not in self.store.sweep_ids():
            with self._lock:
                self._kept.pop(sweep_id, None)
            raise UnknownSweepError(f"there is no sweep '{sweep_id}' any more")
        return self._keep(before if before and before.results is results else Look(results))

    def _single(self) -> SweepResults:
        """Trials that belong to no sweep, each at a place of its own: they are no seeds of one another."""
        single = self.store.single_trials()
        return replace(single, record=replace(single.record, axes=(TRIAL,)))

    def _keep(self, look: Look) -> Look:
        with self._lock:
            self._kept.pop(look.record.id, None)
            self._kept[look.record.id] = look
            while len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
        return look

    def shipment(self, trial_id: str) -> Shipment:
        """A trial, its places in sweeps, and its run in MLflow.

        Raises:
            UnknownTrialError: there is none of that id.
        """
        if not TRIAL_ID.fullmatch(trial_id):
            raise UnknownTrialError("a trial's id has sixteen hexadecimal digits")
        return self.store.shipment(trial_id)

    def points(self, trial_id: str) -> tuple[Point, ...]:
        """A trial's history."""
        return self.store.points(trial_id)

    def slurm_seen(self, trial_id: str) -> dict[str, str]:
        """What SLURM last said of its job: `state`, `reason`, `node`; empty where it said nothing."""
        return slurm_seen.read(self.layout).get(trial_id, {})

    def log_tails(self, trial_id: str) -> tuple[tuple[str, str], ...]:
        """(name, last lines) of the trial's newest logs, the newest first."""
        return log_tails(self.layout.trial(_checked(trial_id)))

    def pictures(self, trial_id: str) -> tuple[str, ...]:
        """Names of the trial's pictures."""
        return tuple(pictures(self.layout.trial(_checked(trial_id))))

    def picture(self, trial_id: str, name: str) -> bytes | None:
        """One of them; None where there is none of that name."""
        found = pictures(self.layout.trial(_checked(trial_id))).get(name)
        return found.read_bytes() if found else None


def trial_of(shipment: Shipment) -> TrialResult:
    """The trial by itself, with the overrides of its newest sweep."""
    overrides = shipment.sweeps[-1][1].overrides if shipment.sweeps else {}
    return TrialResult(id=shipment.id, overrides=overrides, config=shipment.config, status=shipment.status)


def now() -> float:
    """Unix seconds."""
    return time.time()


def _checked(trial_id: str) -> str:
    assert TRIAL_ID.fullmatch(trial_id), "ids are checked where they come in"
    return trial_id
