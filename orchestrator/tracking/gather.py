"""Send the store's values to MLflow. Workers never send, so a dead tracking server does not stop them.

Every trial has one run across all its attempts, with exactly one value per (metric, step):

    source                 the store's history has every (metric, step) once; nothing else is sent
    cursor per trial       moves after each batch; after a crash the same points (key, step, time and value) are sent
                           again, which MLflow ignores
    destination            another server or experiment than the cursors were set for is sent everything
    found before created   a run is looked up by the tags that it was created with, so a deleted store creates no
                           duplicates; only points that such a run does not have are sent
    never mixed            values cannot be deleted from a run: if the history no longer has some, the run is deleted
                           (MLflow can restore it) and a new one is created

One process at a time sends (a lock under the root). Points have the times of the journal.
"""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import TrackingError
from orchestrator.host.locks import holding
from orchestrator.host.progress import track
from orchestrator.records import slurm_seen
from orchestrator.records.layout import Layout
from orchestrator.store.database import Store
from orchestrator.store.refresh import refresh
from orchestrator.tracking.client import Tracking, without_credentials
from orchestrator.tracking.links import is_server, ui_command, view, view_tag
from orchestrator.tracking.run_card import TAG_LENGTH, RunCard, milliseconds
from orchestrator.tracking.sender import Sender, SentRuns

__all__ = ["Synced", "attach_report", "experiment_name", "rebuild", "sync", "ui_command"]

LANES = 3
"""Trials that are sent to a server at the same time; a database that we write ourselves gets one at a time."""
WAIT_S = 30
REPORT_TAG = "iwm.sweep_id"


@dataclass(frozen=True, kw_only=True)
class Synced:
    """The result of one pass. `left` trials wait for the next; `busy`: another process is sending, nothing done."""

    trials: int = 0
    points: int = 0
    left: int = 0
    refused: tuple[str, ...] = ()
    busy: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        counts = {"sent": self.points, "trials": self.trials, "left": self.left}
        return {**counts, "refused": list(self.refused), "busy": self.busy}

    def sentence(self) -> str:
        """One line for the terminal."""
        if self.busy:
            return "another process is sending to MLflow; nothing was sent"
        rest = [f"{self.left} trials are still to be sent"] * bool(self.left)
        rest += [f"MLflow refused {len(self.refused)}: {', '.join(self.refused)}"] * bool(self.refused)
        return "; ".join([f"sent {self.points} points of {self.trials} trials to MLflow", *rest])


def experiment_name() -> str:
    """The name of the experiment that has one run per trial."""
    return os.environ.get("IWM_EXPERIMENT") or "iwm"


def sync(
    layout: Layout,
    store: Store,
    *,
    limit_s: float | None = None,
    ended: Callable[[], bool] = lambda: False,
    told: SentRuns | None = None,
) -> Synced:
    """Send what MLflow does not have yet, for at most about `limit_s` seconds or until `ended()`.

    Sending twice changes nothing. Keep `told` between calls to save requests.

    Raises:
        TrackingError: MLflow cannot be reached.
    """
    until_s = time.monotonic() + limit_s if limit_s is not None else float("inf")
    with holding(layout.gather_lock, wait_s=0) as alone:
        if not alone:
            return Synced(busy=True)
        told = {} if told is None else told
        return _send(layout, store, is_over=lambda: time.monotonic() >= until_s or ended(), told=told)


def rebuild(layout: Layout, store: Store) -> Synced:
    """Empty the store, fold every file again and send everything. Finds MLflow's existing runs.

    Raises:
        TrackingError: MLflow cannot be reached; the store is rebuilt nevertheless.
    """
    with holding(layout.gather_lock, wait_s=WAIT_S) as alone:
        if not alone:
            return Synced(busy=True)
        store.reset()
        refresh(layout, store)
        return _send(layout, store, is_over=lambda: False, told={})


def attach_report(layout: Layout, store: Store, sweep_id: str, files: Mapping[str, bytes]) -> str:
    """Upload a sweep's report to its run in `<experiment>-reports`, replacing files of equal name.

    The first Markdown file becomes the run's description. Returns the run's id.

    Raises:
        UnknownSweepError: there is no sweep of that id.
        TrackingError: MLflow cannot be reached.
    """
    record = store.sweep_record(sweep_id)
    note = next((text.decode() for name, text in files.items() if name.endswith(".md")), "")
    tags = {REPORT_TAG: sweep_id, "iwm.sweep": record.name, "mlflow.note.content": cut(note, TAG_LENGTH)}
    start_ms = milliseconds(record.t)
    card = RunCard(name=sweep_id, status="FINISHED", start_ms=start_ms, end_ms=start_ms, params={}, tags=tags)
    with holding(layout.gather_lock.with_name("reports.lock"), wait_s=WAIT_S) as alone:
        if not alone:
            raise TrackingError(f"another process has been attaching reports for {WAIT_S} s")
        tracking = Tracking(layout)
        experiment_id = tracking.experiment(f"{experiment_name()}-reports").experiment_id
        found = tracking.find(experiment_id, tag=REPORT_TAG, value=sweep_id, start_ms=start_ms)
        run = found or tracking.create(experiment_id, card, tag=REPORT_TAG)
        tracking.describe(run, card)
        tracking.attach(run, files)
        tracking.set_status(run, card)
    return run.info.run_id


def cut(text: str, length: int) -> str:
    """The text, or as much of its beginning as fits, with a remark that it was cut."""
    remark = "\n\n(truncated; the full report is among the artifacts)"
    return text if len(text) <= length else text[: length - len(remark)] + remark


def _send(layout: Layout, store: Store, *, is_over: Callable[[], bool], told: SentRuns) -> Synced:
    """Send every trial that has changed since it was last sent, until `is_over`."""
    tracking = Tracking(layout)
    experiment = tracking.experiment(experiment_name())
    for sweep_id in sorted(store.sweep_ids()):
        if view_tag(sweep_id) not in experiment.tags:  # never again: a user may have changed the view
            tracking.tag_experiment(experiment, view_tag(sweep_id), view(store.sweep_record(sweep_id)))
    store.aim(
        tracking_uri=without_credentials(layout.tracking_uri),
        experiment_id=experiment.experiment_id,
        created_ms=experiment.creation_time or 0,
    )
    waiting = store.unsent()
    sender = Sender(tracking, store, experiment.experiment_id, slurm_seen.read(layout), is_over, told)
    with ThreadPoolExecutor(LANES if is_server(layout) else 1) as lanes:
        sent = lanes.map(sender.send, waiting)
        outcomes = list(track(sent, "sending trials to MLflow", total=len(waiting)))
    return Synced(
        trials=sum(outcome.is_whole for outcome in outcomes),
        points=sum(outcome.points for outcome in outcomes),
        left=sum(not (outcome.is_whole or outcome.is_refused) for outcome in outcomes),
        refused=tuple(key for key, outcome in zip(waiting, outcomes, strict=True) if outcome.is_refused),
    )
