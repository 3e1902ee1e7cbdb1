"""One look at the trials of this machine's slots: lost workers are named, preempted trials claimed again.

Everybody who looks may do it (the keeper again and again, `status`, `sync` and `submit` once); claims are exclusive and
events idempotent, so it does not matter who comes first.
"""

from collections.abc import Mapping

from orchestrator.host import provenance
from orchestrator.host.locks import is_held
from orchestrator.launching import dependency
from orchestrator.launching.launch import claim_again, job_is_alive
from orchestrator.launching.reconcile import Action, Evidence, Seen, decide
from orchestrator.records import journal
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.trial.events import Claimed, Lost, Submitted
from orchestrator.trial.launchers import FOREGROUND, LOCAL
from orchestrator.trial.lifecycle import State, TrialStatus

LOOKED_AFTER = frozenset({State.RUNNING, State.QUEUED, State.PREEMPTED})


def reconcile(layout: Layout, statuses: Mapping[str, TrialStatus]) -> bool:
    """Acts on every trial of this machine that needs it; says whether anything was done."""
    acted = [_act(layout.trial(key), status) for key, status in statuses.items() if is_ours(status)]
    return any(acted)


def is_ours(status: TrialStatus) -> bool:
    """Started on this machine, by the local launcher or in the foreground, and not at its end."""
    return (
        status.state in LOOKED_AFTER
        and status.launcher in (LOCAL, FOREGROUND)
        and status.claim_host == provenance.host()
    )


def has_work(layout: Layout, statuses: Mapping[str, TrialStatus]) -> bool:
    """Whether a keeper is needed: not for what waits for a trial that a person has to see to."""
    ours = {key: status for key, status in statuses.items() if is_ours(status) and status.launcher == LOCAL}
    return bool(ours.keys() - dependency.stuck(layout, statuses))


def _act(folder: TrialFolder, status: TrialStatus) -> bool:
    action = decide(status, evidence(folder, status))
    match action:
        case Action.MARK_ATTEMPT_LOST:
            newest = [attempt.number for attempt in status.attempts if attempt.claim == status.claim][-1]
            lost = Lost(claim=status.claim, attempt=newest, reason="no worker on this machine")
            journal.record(folder, lost)
        case Action.MARK_JOB_LOST:
            journal.record(folder, Lost(claim=status.claim, attempt=-1, reason="the job ended before it started"))
        case Action.START_AGAIN if status.launcher == LOCAL:
            return claim_again(folder) is not None
        case _:
            return False
    return True


def evidence(folder: TrialFolder, status: TrialStatus) -> Evidence:
    """What can be seen on this machine."""
    worker = Seen.ALIVE if is_held(folder.worker_lock) else Seen.GONE
    if status.state is not State.QUEUED:
        return Evidence(worker=worker)
    return Evidence(worker=worker, job=_see_job(folder, status))


def _see_job(folder: TrialFolder, status: TrialStatus) -> Seen:
    """A claim without a job waits for a slot, and is the keeper's to start; in the foreground the worker is the job."""
    if status.launcher == FOREGROUND:
        return Seen.GONE
    submitted = [
        event for event in journal.read_control(folder) if isinstance(event, Submitted) and event.claim == status.claim
    ]
    if not submitted:
        return Seen.UNKNOWN
    return Seen.ALIVE if job_is_alive(submitted[-1].job_id, folder) else Seen.GONE


def waiting(folder: TrialFolder, status: TrialStatus) -> Claimed | None:
    """The claim of a queued trial that no job has been started for."""
    if status.state is not State.QUEUED:
        return None
    under = [event for event in journal.read_control(folder) if event.claim == status.claim]
    if any(isinstance(event, Submitted) for event in under):
        return None
    return next((event for event in under if isinstance(event, Claimed)), None)
