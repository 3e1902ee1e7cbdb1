"""What is left of a sweep, from what its trials have shown so far. Pure.

    rate of a trial   = its steps / its seconds, over all attempts; else the median rate of the others
    hours left        = sum over unfinished trials of (total - step) / rate
    until the end     = hours left / trials that run now

Only steps count: waiting, loading and the evaluation at the end come on top, so this is the least it takes.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.lifecycle import State, TrialStatus

GOING_ON = frozenset({State.PLANNED, State.QUEUED, State.RUNNING, State.PREEMPTED, State.HELD})


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Trials that are left, the hours of work in them, and the hours until the end (None: nothing runs, or no rate)."""

    trials: int
    work_hours: float | None
    hours: float | None


def forecast(statuses: Sequence[TrialStatus]) -> Forecast:
    """The forecast of these trials."""
    left = [status for status in statuses if status.state in GOING_ON]
    rates = [rate for status in statuses if (rate := _rate(status))]
    typical = statistics.median(rates) if rates else None
    totals = [status.total_steps for status in statuses if status.total_steps]
    if typical is None or not totals:
        return Forecast(trials=len(left), work_hours=None, hours=None)
    total = statistics.median(totals)
    seconds = sum(max(0.0, (status.total_steps or total) - status.step) / (_rate(status) or typical) for status in left)
    running = sum(status.state is State.RUNNING for status in left)
    return Forecast(
        trials=len(left), work_hours=seconds / 3600, hours=seconds / 3600 / running if running and left else None
    )


def _rate(status: TrialStatus) -> float:
    """Steps a second; 0 where it has done none."""
    steps = sum(max(0, attempt.step - attempt.resumed_from_step) for attempt in status.attempts)
    return steps / status.wall_s if status.wall_s else 0.0
