"""Store to MLflow. Workers never come here, so a dead tracking server stops nothing.

One run per trial across all its attempts, and exactly one value per (metric, step) in it:

    the store decides      a history has every (metric, step) once, so nothing else is ever sent
    a cursor per trial     moves after each batch; what a crash makes us send again is equal in key, step, time and
                           value, which MLflow swallows
    an experiment's own    another server or experiment than the cursors were noted for is sent everything
    found before created   a run is looked up by the tags that it was created with, so a deleted store makes no twins;
                           what such a run already has is compared, and only the rest is sent
    never mixed            where a history has disowned values that MLflow was sent, which cannot be taken back, the run
                           is deleted (MLflow keeps it in its bin) and a new one is written

Sending is done by one process at a time (a lock under the root). Everything carries the journal's own times.
"""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from mlflow.entities import Experiment

__all__ = ["Synced", "attach_report", "experiment_name", "rebuild", "sync", "ui_command"]

LANES = 3
"""Trials on their way to a server at once. A database that we write ourselves takes one after the other."""
WAIT_S = 30
REPORT_TAG = "iwm.sweep_id"


@dataclass(frozen=True, kw_only=True)
class Synced:
    """What one pass sent. `left` trials wait for the next one; `busy`: another process is at it, nothing was done."""

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
        """One line for a person."""
        if self.busy:
            return "another process is sending to MLflow; nothing was done here"
        rest = [f"{self.left} trials are left"] * bool(self.left)
        rest += [f"MLflow refused {len(self.refused)}: {', '.join(self.refused)}"] * bool(self.refused)
        return "; ".join([f"sent {self.points} points of {self.trials} trials to MLflow", *rest])


def experiment_name() -> str:
    """The experiment that holds one run per trial."""
    return os.environ.get("IWM_EXPERIMENT") or "iwm"


def sync(
    layout: Layout,
    store: Store,
    *,
    limit_s: float | None = None,
    ended: Callable[[], bool] = lambda: False,
    told: SentRuns | None = None,
) -> Synced:
    """Sends what MLflow does not have yet, for at most about `limit_s` seconds or until `ended` says so.

    Sending twice changes nothing. Who comes again may keep `told`, by which less has to be asked.

    Raises:
        TrackingError: MLflow is out of reach.
    """
    with holding(layout.gather_lock, wait_s=0) as alone:
        return (
            _send(layout, store, is_over=_over(limit_s, ended), told={} if told is None else told)
            if alone
            else Synced(busy=True)
        )


def rebuild(layout: Layout, store: Store) -> Synced:
    """Empties the store, folds every file again and sends all of it. MLflow's runs are found, not doubled.

    Raises:
        TrackingError: MLflow is out of reach; the store is rebuilt nevertheless.
    """
    with holding(layout.gather_lock, wait_s=WAIT_S) as alone:
        if not alone:
            return Synced(busy=True)
        store.reset()
        refresh(layout, store)
        return _send(layout, store, is_over=lambda: False, told={})


def attach_report(layout: Layout, store: Store, sweep_id: str, files: Mapping[str, bytes]) -> str:
    """Keeps a sweep's report in its one run of `<experiment>-reports`: files of equal name are replaced.

    The first Markdown file also becomes the run's description. Returns the run's id.

    Raises:
        UnknownSweepError: there is no sweep of that id.
        TrackingError: MLflow is out of reach.
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
    """The text, or as much of its beginning as fits, with a word about it."""
    remark = "\n\n(cut here; the whole report is among the artifacts)"
    return text if len(text) <= length else text[: length - len(remark)] + remark


def _over(limit_s: float | None, ended: Callable[[], bool]) -> Callable[[], bool]:
    """Whether a pass that begins now is at its end."""
    until = time.monotonic() + limit_s if limit_s is not None else float("inf")
    return lambda: time.monotonic() >= until or ended()


def _send(layout: Layout, store: Store, *, is_over: Callable[[], bool], told: SentRuns) -> Synced:
    """One pass over the trials that MLflow does not know as they are."""
    tracking = Tracking(layout)
    experiment_id = _aim(tracking, store)
    waiting = store.unsent()
    sender = Sender(tracking, store, experiment_id, slurm_seen.read(layout), is_over, told)
    with ThreadPoolExecutor(LANES if is_server(layout) else 1) as lanes:
        sent = lanes.map(sender.send, waiting)
        outcomes = list(track(sent, "sending trials to MLflow", total=len(waiting)))
    return Synced(
        trials=sum(outcome.is_whole for outcome in outcomes),
        points=sum(outcome.points for outcome in outcomes),
        left=sum(not (outcome.is_whole or outcome.is_refused) for outcome in outcomes),
        refused=tuple(key for key, outcome in zip(waiting, outcomes, strict=True) if outcome.is_refused),
    )


def _aim(tracking: Tracking, store: Store) -> str:
    """The id of the experiment that trials go to, which has a saved view of each sweep.

    The store drops its cursors where they are another's.
    """
    experiment = tracking.experiment(experiment_name())
    _put_views(tracking, store, experiment)
    store.aim(
        tracking_uri=without_credentials(tracking.layout.tracking_uri),
        experiment_id=experiment.experiment_id,
        created_ms=experiment.creation_time or 0,
    )
    return experiment.experiment_id


def _put_views(tracking: Tracking, store: Store, experiment: "Experiment") -> None:
    """Saves the views of new sweeps, once: what a person makes of one later is theirs."""
    new = sorted(sweep_id for sweep_id in store.sweep_ids() if view_tag(sweep_id) not in experiment.tags)
    for sweep_id in new:
        tracking.tag_experiment(experiment, view_tag(sweep_id), view(store.sweep_record(sweep_id)))
