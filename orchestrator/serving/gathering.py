"""What the gatherer does in a pass: fold what changed, send it to MLflow, keep the sweeps' reports there up to date.

It writes MLflow's database itself, by the same address as `iwm sync`, so that both go by the same cursors, and a server
that is down or starting delays nothing. MLflow's server and the gatherer may write at once: both wait for SQLite's lock
(20 s), and write-ahead logging lets readers pass.
"""

import time
from collections.abc import Callable

from orchestrator.records import slurm_seen
from orchestrator.records.layout import Layout
from orchestrator.serving.report_builder import ReportBuilder
from orchestrator.store.database import Store
from orchestrator.store.refresh import refresh
from orchestrator.tracking import gather
from orchestrator.tracking.sender import SentRuns
from orchestrator.trial.lifecycle import State

SEND_S = 15.0
"""How long one pass may send; the rest is sent by the next one, which follows at once."""
REPORT_REST = 10.0
"""A sweep's report rests for so many times as long as it took to make."""
RETRY_S = 60.0
"""A report that could not be made or sent is not tried again before that."""


_NOTHING: dict[str, dict[str, str]] = {}
"""Stands for what SLURM said before the first pass, which sends no trial again."""


class Gatherer:
    """One root's gatherer. A call is one pass; it answers whether more is waiting.

    Raises:
        TrackingError: MLflow is out of reach.
        DatabaseError: the store is.
        ReportError: a report could not be made.
    """

    def __init__(self, layout: Layout, *, ended: Callable[[], bool] = lambda: False) -> None:
        self._layout, self._ended = layout, ended
        self._press = ReportBuilder(layout)
        self._reported: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._began, self._mark = 0.0, 0
        self._seen = _NOTHING
        self._told: SentRuns = {}

    def __call__(self) -> bool:
        with Store.open(self._layout.database_url) as store:
            refresh(self._layout, store)
            self._notice_slurm(store)
            more = self._send(store)
            if self._press.sweep_id:
                self._publish(store)
            else:
                self._begin_report(store)
            return more

    def close(self) -> None:
        """Leaves a report that is in the making."""
        self._press.close()

    def _notice_slurm(self, store: Store) -> None:
        """What SLURM says of a job is no file of its trial: a pending reason can change while nothing else does."""
        seen = slurm_seen.read(self._layout)
        changed = [key for key, said in seen.items() if said != self._seen.get(key)]
        if changed and self._seen is not _NOTHING:
            store.send_again(changed)
        self._seen = seen

    def _send(self, store: Store) -> bool:
        if not store.unsent():
            return False
        sent = gather.sync(self._layout, store, limit_s=SEND_S, ended=self._ended, told=self._told)
        return bool(sent.left) and not sent.busy

    def _begin_report(self, store: Store) -> None:
        """Has the report made of one sweep that changed since its last one."""
        now = time.monotonic()
        changed = {sweep_id: mark for sweep_id, mark in marks(store).items() if mark != self._reported.get(sweep_id)}
        due = [sweep_id for sweep_id in changed if self._not_before.get(sweep_id, 0.0) <= now]
        if due:
            self._began, self._mark = now, changed[due[0]]
            self._not_before[due[0]] = now + RETRY_S
            self._press.begin(due[0])

    def _publish(self, store: Store) -> None:
        """Sends the report that was being made, when it is."""
        sweep_id = self._press.sweep_id
        if files := self._press.take():
            gather.attach_report(self._layout, store, sweep_id, files)
            self._reported[sweep_id] = self._mark
            self._not_before[sweep_id] = self._began + (1 + REPORT_REST) * (time.monotonic() - self._began)


def marks(store: Store) -> dict[str, int]:
    """For every sweep with a finished trial a number that changes whenever one of its trials changes its state."""
    states = store.states()
    finished = {key for key, state in states.items() if state is State.FINISHED}
    found = {}
    for record in store.sweep_records() if finished else ():
        ids = [member.id for member in record.trials]
        if not finished.isdisjoint(ids):
            found[record.id] = hash(tuple(states.get(key) for key in ids))
    return found
