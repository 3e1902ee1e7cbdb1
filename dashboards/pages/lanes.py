"""Attempts of trials over time: a lane per trial, a bar per attempt, and the waits between them. Pure.

    wait of the first attempt = its start - the sweep's submission, where that came before it
    wait of a later attempt   = its start - the end of the one before
    repeated part of a bar    = the share of its steps that an earlier attempt had reached

Times are unix seconds of the writers' clocks; a running attempt ends at `now`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dashboards.wording import NAME_MAX, level_name, plain, shortened
from orchestrator.planning.forecast import duration
from orchestrator.trial.lifecycle import Attempt, State
from orchestrator.trial.results import SweepResults, TrialResult, gpus
from orchestrator.trial.sweep import Scalar

MARKS = {"finished": "●", "preempted": "▲", "lost": "✕", "failed": "✕"}
"""The mark at the end of a bar; a running attempt has none."""
WAITING = frozenset({State.QUEUED, State.PREEMPTED})
"""States in which a trial waits for a place; a held one waits for a person."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One attempt, and the wait before it. `end`: finished, preempted, lost, failed or running."""

    attempt: Attempt
    waited_s: float
    end_t: float
    end: str
    repeated_steps: int

    @property
    def start_t(self) -> float:
        """Start of the attempt."""
        return self.attempt.started_t

    @property
    def from_step(self) -> int:
        """The step that the attempt resumed from."""
        return self.attempt.resumed_from_step

    @property
    def to_step(self) -> int:
        """The last step that the attempt reached."""
        return max(self.attempt.step, self.from_step)

    @property
    def gpu_hours(self) -> float:
        """Up to its end, or to now; 0 on a CPU."""
        return (self.end_t - self.start_t) * gpus(self.attempt) / 3600 if self.start_t else 0.0

    @property
    def mark(self) -> str:
        """The mark at its end."""
        return MARKS.get(self.end, "")

    @property
    def repeated_share(self) -> float:
        """The share of the bar that repeats steps."""
        done = self.to_step - self.from_step
        return min(1.0, self.repeated_steps / done) if done > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One trial; `waits_since_t`: the start of a wait that has not ended."""

    trial_id: str
    name: str
    state: str
    bars: tuple[Bar, ...]
    waits_since_t: float | None

    @property
    def waited_s(self) -> float:
        """Seconds of waiting before its attempts."""
        return sum(bar.waited_s for bar in self.bars)


def lanes(results: SweepResults, *, now: float) -> tuple[Lane, ...]:
    """Every trial of a sweep, in its order."""
    return tuple(lane(trial, submitted_t=results.record.t, now=now) for trial in results.trials)


def lane(trial: TrialResult, *, submitted_t: float, now: float) -> Lane:
    """One trial's attempts."""
    bars = tuple(_bars(trial, submitted_t=submitted_t, now=now))
    since_t = bars[-1].end_t if bars else submitted_t
    return Lane(
        trial_id=trial.id,
        name=trial_name(trial.overrides),
        state=trial.state.value,
        bars=bars,
        waits_since_t=since_t if since_t and trial.state in WAITING else None,
    )


def trial_name(overrides: Mapping[str, Scalar]) -> str:
    """The trial's overrides, short."""
    named = " ".join(f"{plain(axis.rpartition('.')[2])}={level_name(level)}" for axis, level in overrides.items())
    return shortened(named, most=NAME_MAX) or "single"


def _bars(trial: TrialResult, *, submitted_t: float, now: float) -> Iterator[Bar]:
    free_t, reached = submitted_t, 0
    for attempt in trial.status.attempts:
        open_now = attempt.end is None and trial.state is State.RUNNING
        end_t = now if open_now else max(attempt.last_t, attempt.started_t)
        yield Bar(
            attempt=attempt,
            waited_s=max(0.0, attempt.started_t - free_t) if free_t and attempt.started_t else 0.0,
            end_t=end_t,
            end=attempt.end or "running",
            repeated_steps=max(0, min(reached, attempt.step) - attempt.resumed_from_step) if attempt.has_begun else 0,
        )
        free_t, reached = end_t, max(reached, attempt.step)


@dataclass(frozen=True, kw_only=True)
class Span:
    """The time span of a page."""

    start_t: float
    end_t: float

    def at(self, t: float) -> float:
        """A time as a share of the width, from 0 to 1."""
        return min(1.0, max(0.0, (t - self.start_t) / max(1e-9, self.end_t - self.start_t)))

    def ticks(self, *, most: int = 8) -> tuple[tuple[float, str], ...]:
        """(time, label: time since the start) at round distances, about `most` of them."""
        length = max(1.0, self.end_t - self.start_t)
        step = next((step for step in _STEPS_S if length / step <= most), 604800.0 * (1 + length // (604800 * most)))
        return tuple((self.start_t + at * step, duration(at * step)) for at in range(int(length // step) + 1))


_STEPS_S = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800)


def span(shown: tuple[Lane, ...], *, submitted_t: float, now: float) -> Span:
    """From the start of the first wait or attempt to the last end, or to now if a trial waits."""
    starts = [bar.start_t - bar.waited_s for lane in shown for bar in lane.bars if bar.start_t]
    ends = [bar.end_t for lane in shown for bar in lane.bars]
    waits = [lane.waits_since_t for lane in shown if lane.waits_since_t is not None]
    start, ends = min([*starts, *waits], default=submitted_t), [*ends, *([now] if waits else [])]
    return Span(start_t=start, end_t=max(ends, default=start + 1.0))
