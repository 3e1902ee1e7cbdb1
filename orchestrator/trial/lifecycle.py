"""A trial's status, as a fold over its control events and journals. Pure.

    status = fold(control events, journals)        ordered by (claim, sequence) and (attempt, line), never by clock

State, from the newest lease (claim) and the newest attempt under it:

    finished   an attempt finished               running    an attempt started and has not ended
    cancelled  the lease was cancelled           preempted  the attempt stopped on request, was lost, or may be retried
    failed     the attempt ended in an error     held       the lease is held until it is released
               or was lost too often             planned    no lease
    queued     leased, no attempt started yet

A withdrawn lease does not count. An attempt that has not ended when a newer one starts was lost.

The lowest attempt that recorded (metric, step) wins; later equal values are dropped, and later different values mark
the trial as drifted (wall-clock metrics are not compared).
"""

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from iwm_core.events import (
    SYSTEM,
    Checkpoint,
    Evaluated,
    Event,
    Failed,
    Finished,
    Preempted,
    Sampled,
    Started,
    Step,
    is_telemetry,
)
from orchestrator.trial.events import (
    Cancelled,
    Cause,
    Claimed,
    ControlEvent,
    Held,
    Lost,
    Released,
    Requeued,
    Submitted,
    Withdrawn,
)


class State(StrEnum):
    """A trial's state."""

    PLANNED = "planned"
    QUEUED = "queued"
    RUNNING = "running"
    PREEMPTED = "preempted"
    HELD = "held"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


RUNNABLE = frozenset({State.PLANNED, State.PREEMPTED, State.FAILED, State.CANCELLED})
"""States in which a trial may be started."""
UNDER_WAY = frozenset({State.QUEUED, State.RUNNING, State.PREEMPTED, State.HELD})
"""States of a trial that was submitted and has not ended."""
ENDED = frozenset({State.FINISHED, State.FAILED, State.CANCELLED})
"""States that only a person changes."""
GOING_ON = frozenset(State) - ENDED
"""All other states."""

FOLD_VERSION = 4
"""Raised whenever `fold`, or what the store keeps of it, changes: every stored trial is then folded again."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt. Times are the writer's clock in unix seconds; `end` is None while it runs."""

    number: int
    claim: int = 0
    job_id: str = ""
    restart: int = 0
    host: str = ""
    pid: int = 0
    started_t: float = 0.0
    last_t: float = 0.0
    stepped_t: float = 0.0
    """When its newest step was recorded; later work, such as the final evaluation, has no steps."""
    resumed_from_step: int = 0
    total_steps: int = 0
    step: int = 0
    checkpoint_step: int = 0
    end: str | None = None
    cause: str = ""
    """The cause of its loss (a `Cause`), or the signal that stopped it."""
    error: str = ""
    skipped: tuple[str, ...] = ()
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_begun(self) -> bool:
        """Return True if it loaded its state, so that `resumed_from_step` is known."""
        return self.total_steps > 0

    @property
    def wall_s(self) -> float:
        """Seconds from the first to the last line of the journal; 0 if the first line is missing."""
        return max(0.0, self.last_t - self.started_t) if self.started_t else 0.0

    @property
    def stepping_s(self) -> float:
        """Seconds from the first line of the journal to its newest step."""
        return max(0.0, self.stepped_t - self.started_t) if self.started_t else 0.0


@dataclass(frozen=True, kw_only=True)
class Point:
    """One value of one metric; `t` is the unix time at which it was first recorded."""

    key: str
    step: int
    value: float
    t: float
    attempt: int


@dataclass(frozen=True, kw_only=True)
class TrialStatus:
    """A trial's state and what tables show about it. `claim`, `token` and the like are of the newest lease."""

    state: State
    claim: int = -1
    claims: int = 0
    """Number of leases, withdrawn ones included: the number of the next."""
    claim_t: float = 0.0
    claim_user: str = ""
    token: str = ""
    job_id: str = ""
    submitted: bool = False
    """True if the newest lease has a job."""
    after: str = ""
    """The trial that must finish before the newest lease gets a job; empty: none."""
    launcher: str = ""
    claim_host: str = ""
    attempts: tuple[Attempt, ...] = ()
    step: int = 0
    total_steps: int = 0
    weights_sha256: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    lost: int = 0
    bad_nodes: tuple[str, ...] = ()
    """Nodes that failed under this trial, once per failure."""
    held_by: str = ""
    """The reason of the hold; `held_t` is its time."""
    held_t: float = 0.0
    relaunches: int = 0
    """Number of times that a job of the newest lease was released after SLURM could not start it."""
    drifted: tuple[str, ...] = ()

    @property
    def may_wait(self) -> bool:
        """Return True if it was submitted after another trial and has no job yet."""
        return self.state is State.QUEUED and not self.submitted and bool(self.after)

    @property
    def preemptions(self) -> int:
        """Number of attempts that were preempted or lost."""
        return sum(attempt.end in ("preempted", "lost") for attempt in self.attempts)

    @property
    def repeated_steps(self) -> int:
        """Lower bound on the steps that were computed more than once: steps between two log lines are not counted."""
        begun = [attempt for attempt in self.attempts if attempt.has_begun]
        return sum(max(0, old.step - new.resumed_from_step) for old, new in itertools.pairwise(begun))

    @property
    def wall_s(self) -> float:
        """Total seconds of all attempts."""
        return sum(attempt.wall_s for attempt in self.attempts)

    @property
    def fingerprints_agree(self) -> bool:
        """Return True if all attempts ran on equal numerics, which guarantees bit-identity."""
        prints = [attempt.fingerprint for attempt in self.attempts if attempt.fingerprint]
        return all(other == prints[0] for other in prints)

    @property
    def codes_agree(self) -> bool:
        """Return True if all attempts ran the same source of the core."""
        sources = {attempt.provenance.get("core_sha256") for attempt in self.attempts if attempt.has_begun}
        return len(sources) < 2


Journals = Mapping[int, Sequence[Event]]


def fold(control: Sequence[ControlEvent], journals: Journals) -> TrialStatus:
    """The status after these events. `control` is ordered by (claim, sequence), each journal by line."""
    claims = 1 + max((event.claim for event in control), default=-1)
    control = standing(control)
    points, drifted = history(journals)
    attempts = _attempts(control, journals)
    newest = newest_claim(control)
    finished = [event for number in sorted(journals) for event in journals[number] if isinstance(event, Finished)]
    spent = failures(control, attempts)
    state = _state(control, attempts, newest=newest, spent=spent)
    return TrialStatus(
        state=state,
        claims=claims,
        **_of_claim(control, attempts, newest=newest),
        attempts=attempts,
        step=max((attempt.step for attempt in attempts), default=0),
        total_steps=max((attempt.total_steps for attempt in attempts), default=0),
        weights_sha256=finished[0].weights_sha256 if finished else "",
        metrics=_last_values(points),
        error=_error(control, attempts, state=state, spent=spent),
        lost=spent[LOST],
        bad_nodes=tuple(e.node for e in control if isinstance(e, Lost) and e.cause == Cause.NODE_FAIL and e.node),
        drifted=drifted,
    )


def standing(control: Sequence[ControlEvent]) -> list[ControlEvent]:
    """The events without those of withdrawn leases."""
    withdrawn = {event.claim for event in control if isinstance(event, Withdrawn)}
    return [event for event in control if event.claim not in withdrawn]


def _attempts(control: Sequence[ControlEvent], journals: Journals) -> tuple[Attempt, ...]:
    lost = dict.fromkeys(sorted(journals)[:-1], OVERTAKEN)
    lost |= {event.attempt: event.cause for event in control if isinstance(event, Lost)}
    return tuple(fold_attempt(number, journals[number], lost=lost.get(number, "")) for number in sorted(journals))


def _of_claim(
    control: Sequence[ControlEvent], attempts: Sequence[Attempt], *, newest: Claimed | None
) -> dict[str, Any]:
    """The fields of a status that describe the newest lease. Without a job of its own, the newest attempt's counts."""
    under = [event for event in control if newest and event.claim == newest.claim]
    jobs = [event.job_id for event in under if isinstance(event, Submitted)]
    job_id = (jobs or [attempt.job_id for attempt in attempts if attempt.job_id] or [""])[-1]
    if newest is None:
        return {"job_id": job_id}
    holds = [event for event in under if isinstance(event, Held)]
    return {
        "claim": newest.claim,
        "claim_t": newest.t,
        "claim_user": newest.user,
        "claim_host": newest.host,
        "token": newest.token,
        "launcher": newest.launcher,
        "job_id": job_id,
        "submitted": bool(jobs),
        "after": newest.after,
        "held_by": holds[-1].reason if holds else "",
        "held_t": holds[-1].t if holds else 0.0,
        "relaunches": sum(isinstance(event, Requeued) for event in under),
    }


def newest_claim(control: Sequence[ControlEvent]) -> Claimed | None:
    """The newest lease that was not withdrawn; None if there is none."""
    return next((event for event in reversed(standing(control)) if isinstance(event, Claimed)), None)


def fold_attempt(number: int, events: Sequence[Event], *, lost: str = "") -> Attempt:
    """Fold one journal. `lost` is why it was lost, if anything says so; an end in the journal takes precedence."""
    values: dict[str, Any] = {"number": number, "end": "lost" if lost else None, "cause": lost}
    for event in events:
        values["last_t"] = event.t
        match event:
            case Started():
                values |= {name: getattr(event, name) for name in _STARTED}
                values |= {"started_t": event.t, "step": event.resumed_from_step, "skipped": tuple(event.skipped)}
                values["checkpoint_step"] = event.resumed_from_step
            case Step():
                values["stepped_t"] = event.t
            case Checkpoint(step=step):
                values |= {"checkpoint_step": step, "stepped_t": event.t}
            case Preempted(signal=signal):
                values |= {"end": "preempted", "cause": signal}
            case Finished():
                values |= {"end": "finished", "cause": ""}
            case Failed(error=error):
                values |= {"end": "failed", "error": error, "cause": Cause.ERROR.value}
        step = getattr(event, "step", 0)
        values["step"] = max(values.get("step", 0), step)
    return Attempt(**values)


def history(journals: Journals) -> tuple[tuple[Point, ...], tuple[str, ...]]:
    """Every (metric, step) once, in the order of recording, and the metrics that drifted between attempts."""
    points: dict[tuple[str, int], Point] = {}
    drifted: dict[str, None] = {}
    for number in sorted(journals):
        for event in journals[number]:
            if not isinstance(event, Step | Sampled | Evaluated):
                continue
            for key, value in event.metrics.items():
                point = Point(key=key, step=event.step, value=value, t=event.t, attempt=number)
                first = points.setdefault((key, event.step), point)
                if not is_telemetry(key) and not same(first.value, value):
                    drifted[key] = None
    return tuple(points.values()), tuple(drifted)


def same(left: float, right: float) -> bool:
    """Return True if two values are equal; NaN equals NaN."""
    return left == right or (math.isnan(left) and math.isnan(right))


def _state(
    control: Sequence[ControlEvent], attempts: Sequence[Attempt], *, newest: Claimed | None, spent: Mapping[str, int]
) -> State:
    if any(attempt.end == "finished" for attempt in attempts):
        return State.FINISHED
    if newest is None:
        return State.PLANNED
    under = [event for event in control if event.claim == newest.claim]
    if any(isinstance(event, Cancelled) for event in under):
        return State.CANCELLED
    here = [attempt for attempt in attempts if attempt.claim == newest.claim]
    waits = [event for event in under if isinstance(event, Held | Released | Requeued)]
    if waits and isinstance(waits[-1], Held):
        return State.HELD
    was_lost = any(isinstance(event, Lost) and event.attempt == -1 for event in under)
    end = here[-1].end or "running" if here else "lost" if was_lost else "queued"
    if end not in ("lost", "failed"):
        return State(end)
    is_hopeless = end == "failed" and here[-1].error.startswith(_HOPELESS)
    exhausted = any(spent[name] > newest.resources.get(name, default) for name, default in RETRIES.items())
    return State.FAILED if is_hopeless or exhausted else State.PREEMPTED


OVERTAKEN = "overtaken"
"""Cause of an attempt that had not ended when a newer one started, if no event gives another."""
LOST, ERROR, MEMORY = "lost_retries", "error_retries", "oom_retries"
RETRIES = {LOST: 3, ERROR: 0, MEMORY: 1}
"""Budgets (fields of `Resources`) and their defaults."""
_BUDGET = {
    Cause.ERROR: ERROR,
    Cause.OUT_OF_MEMORY: MEMORY,
    Cause.KILLED: MEMORY,
    Cause.PREEMPTED: "",
    Cause.REQUEUED: "",
}
_HOPELESS = ("NonFiniteLossError:", "ConfigError:")
"""Errors that a retry repeats."""
_STARTED = (
    *("claim", "job_id", "restart", "host", "pid"),
    *("resumed_from_step", "total_steps", "fingerprint", "provenance"),
)
"""Fields that `Started` and `Attempt` have in common."""


def _error(
    control: Sequence[ControlEvent], attempts: Sequence[Attempt], *, state: State, spent: Mapping[str, int]
) -> str:
    """The newest attempt's error, or why it was lost."""
    if attempts and attempts[-1].error:
        return attempts[-1].error
    lost = [event for event in control if isinstance(event, Lost)]
    never_began = bool(lost) and lost[-1].attempt == -1
    if not lost or not (state is State.FAILED or (state is State.PREEMPTED and never_began)):
        return ""
    reason = lost[-1].reason
    return f"lost {spent[LOST]} times in a row without progress: {reason}" if spent[LOST] > 1 else reason


def _last_values(points: Sequence[Point]) -> dict[str, float]:
    """The value of each metric at its last step, system metrics excluded."""
    last: dict[str, Point] = {}
    for point in points:
        if not point.key.startswith(SYSTEM) and point.step >= last.get(point.key, point).step:
            last[point.key] = point
    return {key: point.value for key, point in last.items()}


def failures(control: Sequence[ControlEvent], attempts: Sequence[Attempt]) -> Counter[str]:
    """Failures in a row, per budget, since the checkpoint last moved.

    An error counts even if its attempt moved the checkpoint before.
    """
    causes = {event.attempt: event.cause for event in control if isinstance(event, Lost)}
    spent: Counter[str] = Counter()
    for attempt in reversed(attempts):
        progressed = attempt.checkpoint_step > attempt.resumed_from_step
        if attempt.end == "failed":
            spent[ERROR] += 1
        elif attempt.end == "lost" and not progressed:
            spent[budget(causes.get(attempt.number, Cause.REQUEUED))] += 1
        if progressed:
            break
    last = attempts[-1] if attempts else None
    for event in control:
        if isinstance(event, Lost) and event.attempt == -1 and event.claim > (last.claim if last else -1):
            spent[budget(event.cause)] += 1
    return spent


def budget(cause: str) -> str:
    """The budget that a cause is charged to; empty: none."""
    return _BUDGET.get(cause, LOST)  # pyright: ignore[reportArgumentType,reportCallIssue]
