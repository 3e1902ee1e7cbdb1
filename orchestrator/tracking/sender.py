"""Sends trials to MLflow. Several threads may send at once: while a server stores one batch, another is prepared.

What was last sent of a trial is kept (`SentRuns`). If only its tags have changed since, as for a running trial, the
changed tags are sent with its points in one request. Otherwise, or if MLflow rejects that (the run was deleted), the
whole run is compared and updated.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from orchestrator.records.logs import log_tails, pictures
from orchestrator.store.database import Store
from orchestrator.store.rows import Shipment
from orchestrator.tracking.client import TAGS_PER_BATCH, RefusedError, Tracking
from orchestrator.tracking.links import is_server
from orchestrator.tracking.run_card import TRIAL_TAG, Row, RunCard, note, row, run_card

if TYPE_CHECKING:
    from mlflow.entities import Run

log = logging.getLogger(__name__)

METRICS_PER_BATCH = 1_000
NOTE_LINES = 12
"""Lines of a log in a run's description."""

SentRuns = dict[str, tuple[str, RunCard]]
"""The id and the card of a trial's run, by the trial's id."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was sent of one trial; neither whole nor refused if the time was over."""

    points: int = 0
    is_whole: bool = False
    is_refused: bool = False


@dataclass
class Sender:
    """Sends trials until `is_over()` or until MLflow cannot be reached."""

    tracking: Tracking
    store: Store
    experiment_id: str
    seen: Mapping[str, Mapping[str, str]]
    is_over: Callable[[], bool]
    told: SentRuns
    _is_broken: bool = field(default=False, init=False)

    def send(self, trial_id: str) -> Outcome:
        """Send everything of one trial: description, points, status.

        Raises:
            TrackingError: MLflow cannot be reached; no further trial is started.
        """
        if self._is_broken or self.is_over():
            return Outcome()
        try:
            return self._send(self.store.shipment(trial_id))
        except RefusedError as reason:
            log.warning("MLflow rejected trial %s: %s", trial_id, reason)
            return Outcome(is_refused=True)
        except BaseException:
            self._is_broken = True
            raise

    def _send(self, shipment: Shipment) -> Outcome:
        card = self._card(shipment)
        if card is None:
            self.store.mark_sent(shipment.id, shipment.signature)
            return Outcome(is_whole=True)
        run_id, old = self.told.pop(shipment.id, ("", card))
        if run_id == shipment.run_id and run_id and not shipment.run_is_stale and replace(card, tags=old.tags) == old:
            news = {key: value for key, value in card.tags.items() if old.tags.get(key) != value}
            if len(news) <= TAGS_PER_BATCH:
                try:
                    return self._send_points(shipment, card, run_id, cursor=shipment.sent_id, tags=news)
                except RefusedError as reason:
                    log.info("sending all of trial %s again: %s", shipment.id, reason)
                    shipment = self.store.shipment(shipment.id)
        run, cursor, has = self._run_of(shipment, card)
        self.tracking.describe(run, card)
        return self._send_points(shipment, card, run.info.run_id, cursor=cursor, has=has, run=run)

    def _card(self, shipment: Shipment) -> RunCard | None:
        folder = self.tracking.layout.trial(shipment.id)
        log_end = next(iter(log_tails(folder, files=1, lines=NOTE_LINES)), ("", ""))
        about = note(shipment, folder=str(folder.path), log=log_end, pages=not is_server(self.tracking.layout))
        return run_card(shipment, seen=self.seen.get(shipment.id, {}), note=about)

    def _send_points(
        self,
        shipment: Shipment,
        card: RunCard,
        run_id: str,
        *,
        cursor: int,
        has: frozenset[Row] = frozenset(),
        tags: Mapping[str, str] | None = None,
        run: "Run | None" = None,
    ) -> Outcome:
        """Send the points after the cursor, the first with `tags`; then pictures and status of `run`, if given."""
        sent, rest = 0, tags or {}
        while True:
            batch = self.store.points_after(shipment.id, cursor, limit=METRICS_PER_BATCH)
            if batch and self.is_over():
                return Outcome(points=sent)
            news = [point for _, point in batch if row(point) not in has]
            self.tracking.log(run_id, news, tags=rest)
            cursor, sent, rest = batch[-1][0] if batch else cursor, sent + len(news), {}
            if len(batch) < METRICS_PER_BATCH:
                break
            self.store.move_cursor(shipment.id, cursor)
        if run:
            found: dict[str, bytes] = {}
            for name, file in pictures(self.tracking.layout.trial(shipment.id)).items():
                with contextlib.suppress(OSError):  # deleted meanwhile, or not readable
                    found[f"pictures/{name}"] = file.read_bytes()
            if found:
                self.tracking.attach(run, found)
            self.tracking.set_status(run, card)
        self.store.mark_sent(shipment.id, shipment.signature, sent_id=cursor)
        self.told[shipment.id] = run_id, card
        return Outcome(points=sent, is_whole=True)

    def _run_of(self, shipment: Shipment, card: RunCard) -> "tuple[Run, int, frozenset[Row]]":
        """The trial's run, the cursor, and the points after it that the run already has."""
        if known := self.tracking.get(shipment.run_id):
            if not shipment.run_is_stale:
                return known, shipment.sent_id, frozenset()
            self._retire(known, shipment)
        elif found := self.tracking.find(self.experiment_id, tag=TRIAL_TAG, value=shipment.id, start_ms=card.start_ms):
            ours = frozenset(row(point) for point in self.store.points(shipment.id))
            has = self.tracking.rows(found, keys={key for key, *_ in ours})
            if has <= ours:
                self.store.set_run(shipment.id, found.info.run_id)
                return found, 0, has
            self._retire(found, shipment)
        run = self.tracking.create(self.experiment_id, card, tag=TRIAL_TAG)
        self.store.set_run(shipment.id, run.info.run_id)
        return run, 0, frozenset()

    def _retire(self, run: "Run", shipment: Shipment) -> None:
        log.warning("the history of trial %s has changed: replacing MLflow run %s", shipment.id, run.info.run_id)
        self.tracking.delete(run)
