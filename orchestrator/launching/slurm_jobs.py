"""Reconcile the trials that run under SLURM: record jobs that ended, submit again what may continue.

    squeue (one call) [-> sacct, one call, where something ended] -> decide, trial by trial -> record, release, resubmit

`iwm serve` reconciles repeatedly, `status`, `sync` and `submit` once; a lock admits one process at a time. If SLURM
does not answer, nothing is decided. The statuses must be older than the answer, so that a trial that runs by its status
and is pending by the answer was stopped in between.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial

from iwm_core.training.place import node_names
from orchestrator.errors import IwmError
from orchestrator.host import provenance, slurm
from orchestrator.host.locks import holding, is_held
from orchestrator.host.slurm import Job
from orchestrator.launching import dependency, slurm_arrays
from orchestrator.launching.batch import ArraySubmission, read_batch
from orchestrator.launching.decisions import ORPHAN_S, Action, Sight, Step, apply, decide
from orchestrator.launching.leases import claim_again
from orchestrator.launching.slurm_queue import Queue, ask, is_ours, nodes_to_avoid, orphans
from orchestrator.records import journal, slurm_seen
from orchestrator.records.layout import Layout
from orchestrator.records.logs import error_summary
from orchestrator.records.scan import read_status
from orchestrator.trial.events import Cause, Submitted
from orchestrator.trial.launchers import UNVERIFIED
from orchestrator.trial.lifecycle import State, TrialStatus, newest_claim
from orchestrator.trial.sweep import Resources

log = logging.getLogger(__name__)

CLOCK_S = 2.0
"""Tolerated difference between the clocks of a node and of the controller."""


def reconcile(layout: Layout, statuses: Mapping[str, TrialStatus]) -> bool:
    """Acts on every SLURM trial that needs it; returns True if it acted on any."""
    ours = {key: status for key, status in statuses.items() if is_ours(status)}
    if not ours:
        return False
    with holding(layout.slurm_lock, wait_s=0) as first:
        queue = ask(ours) if first else None
        return _Pass(layout, ours, queue).act() if queue else False


@dataclass
class _Pass:
    """One pass over the trials with SLURM's answer."""

    layout: Layout
    statuses: Mapping[str, TrialStatus]
    queue: Queue
    again: list[str] = field(default_factory=list)
    to_release: list[str] = field(default_factory=list)
    unwritten: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._batch: Callable[[str], ArraySubmission | None] = cache(partial(read_batch, self.layout))
        self._waiting = dependency.waiting(self.layout, self.statuses)
        self._by_token = {(job.token, job.index): job for job in self.queue.live.values() if job.token}
        self._ended_by_token = {(job.token, job.index): job for job in self.queue.ended.values() if job.token}

    def act(self) -> bool:
        """Acts on every trial; returns True if it acted on any."""
        seen = {key: self._sight(key, status) for key, status in self.statuses.items()}
        now = time.time()
        steps = {key: decide(status, seen[key], now=now) for key, status in self.statuses.items()}
        steps = {key: step for key, step in steps.items() if step.action is not Action.WAIT}
        for key, step in steps.items():
            try:
                self._apply(key, self.statuses[key], step, sight=seen[key])
            except OSError as error:  # a full disk under one trial must not stop the pass
                log.warning("trial %s: cannot record '%s': %s", key[:8], step.action.value, error)
                self.unwritten[key] = str(error)
        if self.to_release:
            slurm.run(slurm.release_command(sorted(set(self.to_release))))
        hit = [key for key, step in steps.items() if step.cause is Cause.NODE_FAIL]
        self.statuses = {**self.statuses, **{key: read_status(self.layout.trial(key)) for key in hit}}
        avoid = nodes_to_avoid(self.statuses.values())
        self._exclude(avoid, seen=seen)
        for orphan in orphans(self.layout, self.statuses.values(), live=self.queue.live.values()):
            slurm.run(slurm.cancel_command([orphan.id]))
        self._start_again(avoid)
        self._write_seen(seen)
        return bool(steps)

    def _sight(self, key: str, status: TrialStatus) -> Sight:
        """The newest claim's job. Its id alone proves nothing: a controller that lost its state reuses ids."""
        if status.may_wait:
            return Sight(waits=key in self._waiting)
        if not status.submitted:
            batch = self._batch(status.token)
            place = status.token, batch.index.get(key, -1) if batch else -1
            live, ended = self._by_token.get(place), self._ended_by_token.get(place)
            return Sight(live=live, ended=ended, submitting=self._may_be_submitting(status))
        live, ended = self.queue.live.get(status.job_id), self.queue.ended.get(status.job_id)
        if status.token != UNVERIFIED.format(job_id=status.job_id):
            live = live if live and live.token == status.token else None
            ended = ended if ended and ended.token == status.token else None
        return Sight(live=live, ended=ended if ended and not _is_of_older(ended, status) else None)

    def _may_be_submitting(self, status: TrialStatus) -> bool:
        if status.claim_host == provenance.host():
            return is_held(self.layout.batch(status.token) / "submitting.lock")
        return time.time() - status.claim_t < ORPHAN_S

    def _apply(self, key: str, status: TrialStatus, step: Step, *, sight: Sight) -> None:
        folder, log_end = self.layout.trial(key), ""
        match step.action:
            case Action.START_AGAIN:
                self.again.append(key)
                return
            case Action.ADOPT:
                batch, job = self._batch(status.token), sight.live or sight.ended
                assert batch
                assert job
                if not job.is_over:
                    slurm_arrays.adopt(self.layout, batch, job_id=job.id)
                journal.record(folder, Submitted(claim=status.claim, job_id=job.id))
            case Action.RELEASE:
                self.to_release.append(status.job_id)
            case Action.MARK_ATTEMPT_LOST if step.cause in (Cause.ERROR, Cause.KILLED):
                log_end = self._error_summary(key, status)
            case Action.MARK_JOB_LOST:
                log_end = self._error_summary(key, status)
        apply(folder, status, step, log_end=log_end)
        log.info("trial %s: %s %s", key[:8], step.action.value, step.reason)

    def _error_summary(self, key: str, status: TrialStatus) -> str:
        """The end of the trial's log under its newest job or, if there is none, of the job's log."""
        before = self.layout.batch(status.token) / f"{status.job_id}_0_log.err"
        logs = self.layout.trial(key).logs.glob(f"{status.job_id}-r*.err")
        return error_summary([before, *sorted(logs, key=lambda log: log.stat().st_mtime_ns)])

    def _exclude(self, avoid: list[str], *, seen: Mapping[str, Sight]) -> None:
        """Keeps jobs that SLURM requeued itself off the nodes that failed repeatedly."""
        for key, status in self.statuses.items():
            live = seen[key].live
            hit = set(avoid) & {name for node in status.bad_nodes for name in node_names(node)}
            if live and live.state == "PENDING" and hit and status.state in (State.RUNNING, State.PREEMPTED):
                excluded = self._resources(key).exclude
                slurm.run(slurm.exclude_command(live.id, [*filter(None, [excluded]), *avoid]))

    def _resources(self, key: str) -> Resources:
        claim = newest_claim(journal.read_control(self.layout.trial(key)))
        return Resources.of(claim.resources) if claim else Resources()

    def _start_again(self, avoid: list[str]) -> None:
        by_name: dict[str, dict[str, Resources]] = {}
        for key in self.again:
            status = self.statuses[key]
            batch = self._batch(status.token)
            name = batch.name if batch else f"after-{status.after[:8]}" if status.after else "iwm"
            by_name.setdefault(name, {})[key] = self._resources(key)
        for name, wanted in by_name.items():
            try:
                slurm_arrays.start(
                    self.layout,
                    wanted,
                    name=name,
                    win=lambda key, token: claim_again(self.layout.trial(key), token=token),
                    avoid=avoid,
                )
            except (IwmError, OSError) as error:
                log.warning("%d trials could not be submitted again: %s", len(wanted), error)

    def _write_seen(self, seen: Mapping[str, Sight]) -> None:
        """Writes SLURM's state of each job for tables, and what could not be recorded about those that ended."""
        shown = {key: _shown(sight.live) for key, sight in seen.items() if sight.live}
        for key, error in self.unwritten.items():
            ended = seen[key].ended
            shown[key] = (_shown(ended) if ended else {"state": "gone"}) | {"reason": f"cannot be recorded: {error}"}
        try:
            slurm_seen.write(self.layout, shown)
        except OSError as error:
            log.warning("cannot write SLURM's job states for tables: %s", error)


def _is_of_older(ended: Job, status: TrialStatus) -> bool:
    """Return True if an older start of the job ended, and the accounting does not know the newest one's end yet."""
    newest = status.attempts[-1] if status.attempts else None
    return bool(newest and ended.ended_t and ended.ended_t + CLOCK_S < newest.started_t)


def _shown(job: Job) -> dict[str, str]:
    return {"state": job.state, "reason": job.reason, "node": job.node}
