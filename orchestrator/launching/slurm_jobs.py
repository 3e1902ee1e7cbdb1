"""One look at the trials whose jobs are SLURM's: what ended is named, what may go on is submitted again.

    squeue (one call) [-> sacct, one call, where something ended] -> decide, trial by trial -> record, release, resubmit

Everybody who looks may do it (`iwm serve` again and again, `status`, `sync` and `submit` once); one at a time. Where
SLURM does not answer nothing is concluded. The statuses must be older than the answer: what they say was running, and
the answer says is waiting, has been stopped in between.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.errors import IwmError
from orchestrator.host import provenance, slurm
from orchestrator.host.locks import holding, is_held
from orchestrator.host.slurm import Job
from orchestrator.launching import dependency, slurm_arrays
from orchestrator.launching.batch import ArraySubmission, places
from orchestrator.launching.decisions import ORPHAN_S, Action, Sight, Step, decide
from orchestrator.launching.leases import claim_again
from orchestrator.launching.lost_jobs import orphans, record
from orchestrator.launching.slurm_arrays import Wanted
from orchestrator.launching.slurm_queue import Queue, ask, bad_nodes, worst_half
from orchestrator.records import journal, slurm_seen
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.records.logs import error_summary
from orchestrator.records.scan import read_status
from orchestrator.trial.events import Cause, Claimed, Held, Released, Submitted
from orchestrator.trial.launchers import HYDRA, SLURM
from orchestrator.trial.lifecycle import UNDER_WAY, State, TrialStatus, newest_claim
from orchestrator.trial.sweep import Resources

log = logging.getLogger(__name__)

CLOCK_S = 2.0
"""How far the clocks of a node and of the controller may be apart."""


def is_ours(status: TrialStatus) -> bool:
    """Whether its job is SLURM's, and it is not at its end."""
    return is_of_slurm(status) and status.state in UNDER_WAY


def is_of_slurm(status: TrialStatus) -> bool:
    """Whether SLURM ran it last."""
    return status.launcher == SLURM or (status.launcher == HYDRA and status.job_id.replace("_", "").isdigit())


def reconcile(layout: Layout, statuses: Mapping[str, TrialStatus]) -> bool:
    """Acts on every trial that needs it; says whether anything was done."""
    ours = {key: status for key, status in statuses.items() if is_ours(status)}
    if not ours:
        return False
    with holding(layout.slurm_lock, wait_s=0) as first:
        if not first:
            return False
        queue = ask(ours)
        if queue is None:
            return False
        return _Look(layout, ours, queue).act()


@dataclass
class _Look:
    """One pass over the trials, with what SLURM said."""

    layout: Layout
    statuses: Mapping[str, TrialStatus]
    queue: Queue
    again: list[str] = field(default_factory=list)
    to_release: list[str] = field(default_factory=list)
    unwritten: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._batches: dict[str, ArraySubmission | None] = {}
        self._waiting = dependency.waiting(self.layout, self.statuses)
        self._by_token = {(job.token, job.index): job for job in self.queue.live.values() if job.token}
        self._ended_by_token = {(job.token, job.index): job for job in self.queue.ended.values() if job.token}

    def act(self) -> bool:
        """Acts on every trial; says whether on any."""
        seen = {key: self._sight(key, status) for key, status in self.statuses.items()}
        now = time.time()
        steps = {key: decide(status, seen[key], now=now) for key, status in self.statuses.items()}
        for key, step in steps.items():
            if step.action is Action.WAIT:
                continue
            try:
                self._apply(key, self.statuses[key], step)
            except OSError as error:  # one full disk must not keep the others from being looked after
                log.warning("trial %s: cannot write down '%s': %s", key[:8], step.action.value, error)
                self.unwritten[key] = str(error)
        if self.to_release:
            slurm.run(slurm.release_command(sorted(set(self.to_release))))
        hit = [key for key, step in steps.items() if step.cause is Cause.NODE_FAIL]
        self.statuses = {**self.statuses, **{key: read_status(self.layout.trial(key)) for key in hit}}
        avoid = worst_half(bad_nodes(self.statuses.values()))
        self._keep_away(seen, avoid)
        for orphan in orphans(self.layout, self.statuses.values(), live=self.queue.live.values()):
            slurm.run(slurm.cancel_command([orphan.id], name=orphan.name))
        self._start_again(avoid)
        _note_seen(self.layout, seen, unwritten=self.unwritten)
        return any(step.action is not Action.WAIT for step in steps.values())

    def _sight(self, key: str, status: TrialStatus) -> Sight:
        """The job of the newest claim; an id alone can be another's, after the controller lost its memory."""
        if status.may_wait:
            return Sight(waits=key in self._waiting)
        if not status.submitted:
            place = self._place(key, status)
            live, ended = self._by_token.get(place), self._ended_by_token.get(place)
            return Sight(live=live, ended=ended, submitting=self._may_be_submitting(status))
        live, ended = self.queue.live.get(status.job_id), self.queue.ended.get(status.job_id)
        if status.launcher == SLURM:
            live = live if live and live.token == status.token else None
            ended = ended if ended and ended.token == status.token else None
        return Sight(live=live, ended=ended if ended and not _is_of_older(ended, status) else None)

    def _place(self, key: str, status: TrialStatus) -> tuple[str, int]:
        if status.token not in self._batches:
            self._batches[status.token] = slurm_arrays.read_batch(self.layout, status.token)
        batch = self._batches[status.token]
        return status.token, places(batch).get(key, -1) if batch else -1

    def _may_be_submitting(self, status: TrialStatus) -> bool:
        if status.claim_host == provenance.host():
            return is_held(self.layout.batch(status.token) / "submitting.lock")
        return time.time() - status.claim_t < ORPHAN_S

    def _apply(self, key: str, status: TrialStatus, step: Step) -> None:
        match step.action:
            case Action.START_AGAIN:
                if status.launcher == SLURM:
                    self.again.append(key)
                return
            case Action.ADOPT:
                self._adopt(key, status)
            case Action.RELEASE:
                self.to_release.append(status.job_id)
        record(self.layout.trial(key), status, step, said=self._said(key, status, step))
        log.info("trial %s: %s %s", key[:8], step.action.value, step.reason)

    def _said(self, key: str, status: TrialStatus, step: Step) -> str:
        """What the job said last, where that tells why it ended."""
        tells = step.action is Action.MARK_ATTEMPT_LOST and step.cause in (Cause.ERROR, Cause.KILLED)
        return self._error_summary(key, status) if tells or step.action is Action.MARK_JOB_LOST else ""

    def _adopt(self, key: str, status: TrialStatus) -> None:
        place = self._place(key, status)
        batch, job = self._batches[status.token], self._by_token.get(place) or self._ended_by_token.get(place)
        assert batch
        assert job
        if not job.is_over:
            slurm_arrays.adopt(self.layout, batch, job_id=job.id)
        journal.record(self.layout.trial(key), Submitted(claim=status.claim, job_id=job.id))

    def _error_summary(self, key: str, status: TrialStatus) -> str:
        """The end of what the trial said under its newest job or, without that, the job."""
        before = self.layout.batch(status.token) / f"{status.job_id}_0_log.err"
        logs = self.layout.trial(key).logs.glob(f"{status.job_id}-r*.err")
        return error_summary([before, *sorted(logs, key=lambda log: log.stat().st_mtime_ns)])

    def _keep_away(self, seen: Mapping[str, Sight], avoid: list[str]) -> None:
        """Jobs that SLURM put back into the queue itself do not return to a node that failed again and again."""
        for key, status in self.statuses.items():
            live = seen[key].live
            wanting = [node for node in avoid if node in status.bad_nodes]
            if live and live.state == "PENDING" and wanting and status.state in (State.RUNNING, State.PREEMPTED):
                asked = newest_claim(journal.read_control(self.layout.trial(key)))
                before = Resources.of(asked.resources).exclude if asked else ""
                slurm.run(slurm.exclude_command(live.id, [*filter(None, [before]), *avoid]))

    def _start_again(self, avoid: list[str]) -> None:
        by_name: dict[str, list[Wanted]] = {}
        for key in self.again:
            folder = self.layout.trial(key)
            name = self._name(self.statuses[key])
            by_name.setdefault(name, []).append(_wanted_again(folder))
        for name, wanted in by_name.items():
            try:
                slurm_arrays.start(self.layout, wanted, name=name, avoid=avoid)
            except (IwmError, OSError) as error:
                log.warning("%d trials could not be submitted again: %s", len(wanted), error)

    def _name(self, status: TrialStatus) -> str:
        batch = slurm_arrays.read_batch(self.layout, status.token)
        return batch.name if batch else f"after-{status.after[:8]}" if status.after else "iwm"


def _is_of_older(ended: Job, status: TrialStatus) -> bool:
    """Whether it is an older start of the job that ended: the accounting does not know of the newest one's end yet."""
    newest = status.attempts[-1] if status.attempts else None
    return bool(newest and ended.ended_t and ended.ended_t + CLOCK_S < newest.started_t)


def _wanted_again(folder: TrialFolder) -> Wanted:
    last = newest_claim(journal.read_control(folder))
    assert last

    def win(token: str) -> Claimed | None:
        return claim_again(folder, token=token)

    return Wanted(folder=folder, resources=Resources.of(last.resources), claim=win)


def _note_seen(layout: Layout, seen: Mapping[str, Sight], *, unwritten: Mapping[str, str]) -> None:
    """For tables: SLURM's own word for each job, and what could not be written down of those that ended."""
    said = {key: _shown(sight.live) for key, sight in seen.items() if sight.live}
    for key, error in unwritten.items():
        ended = seen[key].ended
        said[key] = (_shown(ended) if ended else {"state": "gone"}) | {"reason": f"cannot be written down: {error}"}
    try:
        slurm_seen.write(layout, said)
    except OSError as error:
        log.warning("what SLURM says is not shown: %s", error)


def _shown(job: Job) -> dict[str, str]:
    return {"state": job.state, "reason": job.reason, "node": job.node}


# What people ask for.


def whole_jobs(layout: Layout, statuses: Mapping[str, TrialStatus]) -> Iterator[tuple[str, str, list[str]]]:
    """(job id, job name, trial ids) of the jobs whose trials are all among these: a job is acted on as a whole."""
    by_job: dict[str, list[str]] = {}
    for key, status in statuses.items():
        if is_ours(status) and status.submitted:
            by_job.setdefault(status.job_id, []).append(key)
    for job_id, keys in by_job.items():
        status = statuses[keys[0]]
        batch = slurm_arrays.read_batch(layout, status.token)
        task = batch.tasks[int(job_id.partition("_")[2] or 0)] if batch else tuple(keys)
        others = [key for key in task if key not in keys and is_ours(read_status(layout.trial(key)))]
        if not others:
            yield job_id, batch.job_name if batch else "", keys


def cancel_jobs(layout: Layout, statuses: Mapping[str, TrialStatus]) -> None:
    """Ends the jobs of trials that were cancelled; where a neighbour shares the job, the worker sees it by itself."""
    by_name: dict[str, list[str]] = {}
    for job_id, name, _ in whole_jobs(layout, statuses):
        by_name.setdefault(name, []).append(job_id)
    for name, job_ids in by_name.items():
        for start in range(0, len(job_ids), 500):
            slurm.run(slurm.cancel_command(job_ids[start : start + 500], name=name))


def hold(layout: Layout, statuses: Mapping[str, TrialStatus]) -> list[str]:
    """Holds jobs: waiting ones stay, running ones checkpoint and go back into the queue, held."""
    queue = ask(statuses)
    held: list[str] = []
    for job_id, _, keys in whole_jobs(layout, statuses):
        job = queue.live.get(job_id) if queue else None
        if not job or any(job.token not in ("", statuses[key].token) for key in keys):
            continue
        for key in keys:
            journal.record(layout.trial(key), Held(claim=statuses[key].claim, reason=f"by {provenance.user()}"))
        command = slurm.hold_command if job.state == "PENDING" else slurm.requeue_hold_command
        slurm.run(command([job_id]))
        held += keys
    return held


def release(layout: Layout, statuses: Mapping[str, TrialStatus]) -> list[str]:
    """Lets held jobs go."""
    released = [key for key, status in statuses.items() if status.state is State.HELD and is_ours(status)]
    for key in released:
        journal.record(layout.trial(key), Released(claim=statuses[key].claim))
    job_ids = sorted({statuses[key].job_id for key in released if statuses[key].job_id})
    if job_ids:
        slurm.run(slurm.release_command(job_ids))
    return released
