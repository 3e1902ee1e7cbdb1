"""What work will take, from what earlier trials took. Pure.

    seconds of a trial = steps left x seconds per step + the rest       (the rest: what comes after the last step)

Both are those of the earlier trials that are nearest by configuration, from the least to the most among them; a trial
that is under way has a speed of its own. How far two configurations are apart counts what costs time alone:

    distance = sum over settings that differ of |log2(a / b)| for numbers, 1 for anything else

At distance d the range is 2^d times as wide on either side, and beyond `FAR` nothing is said: nobody knows what a large
network takes from what a toy took. A pretraining is never compared with an evaluation, nor two protocols.
Starting a worker and waiting for a place come on top.
"""

import heapq
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.trial.lifecycle import GOING_ON, State, TrialStatus
from orchestrator.trial.results import SweepResults, gpus
from orchestrator.trial.sweep import Scalar

Place = Mapping[str, Scalar]
"""Settings by name: a whole configuration, or a trial's values on the axes of its sweep."""
Cost = frozenset[tuple[str, Scalar]]
"""What of a place costs time."""

FREE = ("seed", "pretrain", "optim", "photometric.strength", "train.steps", "train.log_every", "tune.steps", "tune.lr")
"""Settings, or groups of them, that one step costs nothing of."""
FAR = 2.0
NEAREST = 10
"""Of the nearest earlier trials so many are enough."""


@dataclass(frozen=True, kw_only=True)
class ComparableTrial:
    """What an earlier trial took; its rest is known once it has finished. `gpus`: how many it held, 0 on a CPU."""

    cost: Cost
    s_per_step: float
    rest_s: float | None
    gpus: int = 0
    device: str = ""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A trial that is not finished: its steps that are left, and its own speed where it has one."""

    cost: Cost
    steps: int
    s_per_step: float | None = None
    gpus: int = 0
    is_running: bool = False


@dataclass(frozen=True, kw_only=True)
class Span:
    """A quantity that nobody knows exactly."""

    least: float
    likely: float
    most: float

    def __add__(self, other: "Span") -> "Span":
        return Span(least=self.least + other.least, likely=self.likely + other.likely, most=self.most + other.most)

    def times(self, factor: float) -> "Span":
        """So many times as much."""
        return Span(least=self.least * factor, likely=self.likely * factor, most=self.most * factor)


NOTHING = Span(least=0.0, likely=0.0, most=0.0)


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What is left. `work` and `gpu` are of the trials that something is known of, in seconds; `end` from now.

    `known` trials have a comparable one that costs the same or a speed of their own, `guessed` ones go by a comparable
    one that differs in `differences`, of `unknown` ones nothing is known. `restless` ones are told without their rest,
    since no comparable one has come to its end. `end` is None where something is unknown, or how many run at once.
    """

    trials: int
    known: int
    guessed: int
    unknown: int
    restless: int
    comparable_trials: int
    work: Span
    gpu: Span
    places: int | None
    end: Span | None
    differences: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, in hours."""
        return {
            "trials": self.trials,
            "known": self.known,
            "guessed": self.guessed,
            "unknown": self.unknown,
            "without_their_end": self.restless,
            "earlier_trials": self.comparable_trials,
            "devices": list(self.devices),
            "differences": list(self.differences),
            "slot_hours": _hours(self.work),
            "gpu_hours": _hours(self.gpu),
            "at_a_time": self.places,
            "end_hours": _hours(self.end) if self.end else None,
        }


def _hours(span: Span) -> dict[str, float]:
    return {key: round(seconds / 3600, 4) for key, seconds in vars(span).items()}


def comparable_trial(cost: Cost, status: TrialStatus) -> ComparableTrial | None:
    """What a trial says of those to come; None where it has not finished and no step of it was timed."""
    own, is_whole = speed(status), status.state is State.FINISHED and status.wall_s > 0
    if own is None and not is_whole:
        return None
    last = status.attempts[-1]
    rest_s = sum(attempt.wall_s - attempt.stepping_s for attempt in status.attempts) if is_whole else None
    device = str(last.fingerprint.get("device", ""))
    return ComparableTrial(cost=cost, s_per_step=own or 0.0, rest_s=rest_s, gpus=gpus(last), device=device)


def speed(status: TrialStatus) -> float | None:
    """Seconds per step over all attempts; None where no step was timed."""
    timed = [attempt for attempt in status.attempts if attempt.stepping_s]
    steps = sum(max(0, attempt.step - attempt.resumed_from_step) for attempt in timed)
    return sum(attempt.stepping_s for attempt in timed) / steps if steps else None


def task(cost: Cost, status: TrialStatus | None, *, steps: int) -> Task:
    """What is left of a trial of so many steps, as far as it has come."""
    if status is None:
        return Task(cost=cost, steps=steps)
    held = gpus(status.attempts[-1]) if status.attempts else 0
    left, runs = max(0, steps - status.step), status.state is State.RUNNING
    return Task(cost=cost, steps=left, s_per_step=speed(status), gpus=held, is_running=runs)


def steps_of(config: Mapping[str, Any]) -> int:
    """The steps of a trial with this (flat) configuration; of an evaluation those that tune."""
    return int(config["tune.steps" if config.get("pretrain") else "train.steps"])


def forecast(tasks: Sequence[Task], earlier: Iterable[ComparableTrial], *, places: int | None) -> Forecast:
    """The forecast of these tasks, of which so many run at once (None: nobody knows)."""
    oracle = _Oracle(earlier)
    told = [one for one in (_tell(task, oracle.nearest(task.cost)) for task in tasks) if one]
    used = {id(item): item for one in told for item in one.near.comparable_trials}
    order = sorted(told, key=lambda one: not one.task.is_running)
    guessed = [one for one in told if one.is_guessed]
    return Forecast(
        trials=len(tasks),
        known=len(told) - len(guessed),
        guessed=len(guessed),
        unknown=len(tasks) - len(told),
        restless=sum(one.rest is None for one in told),
        comparable_trials=len(used),
        work=sum((one.span for one in told), NOTHING),
        gpu=sum((one.span.times(one.gpus) for one in told), NOTHING),
        places=places,
        end=_end([one.span for one in order], places=places) if places and len(told) == len(tasks) else None,
        differences=tuple(dict.fromkeys(word for one in guessed for word in one.near.differences)),
        devices=tuple(dict.fromkeys(item.device for item in used.values() if item.device)),
    )


@dataclass(frozen=True, kw_only=True)
class _Near:
    """The nearest earlier trials of a place, and how near they are."""

    comparable_trials: tuple[ComparableTrial, ...]
    distance: float
    differences: tuple[str, ...]

    @property
    def per_step(self) -> Span | None:
        """Seconds."""
        return self._span([item.s_per_step for item in self.comparable_trials])

    @property
    def rest(self) -> Span | None:
        """Seconds; None where none has come to its end."""
        return self._span([item.rest_s for item in self.comparable_trials if item.rest_s is not None])

    def _span(self, values: Sequence[float]) -> Span | None:
        if not values:
            return None
        wide = 2.0**self.distance
        return Span(least=min(values) / wide, likely=statistics.median(values), most=max(values) * wide)


NOBODY = _Near(comparable_trials=(), distance=0.0, differences=())


@dataclass(frozen=True, kw_only=True)
class _Told:
    """What is said of one task."""

    task: Task
    near: _Near
    steps: Span
    rest: Span | None

    @property
    def span(self) -> Span:
        return self.steps + (self.rest or NOTHING)

    @property
    def is_guessed(self) -> bool:
        return self.near.distance > 0 and self.task.s_per_step is None

    @property
    def gpus(self) -> int:
        return self.near.comparable_trials[0].gpus if self.near.comparable_trials else self.task.gpus


def _tell(one: Task, near: _Near) -> _Told | None:
    """None where nothing is known."""
    own = one.s_per_step
    per_step = Span(least=own, likely=own, most=own) if own is not None else near.per_step
    return _Told(task=one, near=near, steps=per_step.times(one.steps), rest=near.rest) if per_step else None


class _Oracle:
    """Finds the nearest; trials that cost the same are looked up once."""

    def __init__(self, earlier: Iterable[ComparableTrial]) -> None:
        self._by_cost: dict[Cost, list[ComparableTrial]] = {}
        for one in earlier:
            self._by_cost.setdefault(one.cost, []).append(one)
        self._found: dict[Cost, _Near] = {}

    def nearest(self, cost: Cost) -> _Near:
        if cost not in self._found:
            self._found[cost] = self._search(cost)
        return self._found[cost]

    def _search(self, wanted: Cost) -> _Near:
        near = next(iter(by_distance(wanted, self._by_cost)), None)
        if near is None:
            return NOBODY
        whole_first = sorted(self._by_cost[near], key=lambda one: one.rest_s is None)
        return _Near(
            comparable_trials=tuple(whole_first[:NEAREST]),
            distance=distance(wanted, near),
            differences=tuple(differences(wanted, near)),
        )


def cost_of(place: Place) -> Cost:
    """What of a place costs time; equal for trials of equal cost. Of `pretrain` it is whether and, of timm, what."""
    kept = {(key, value) for key, value in place.items() if key not in FREE and key.partition(".")[0] not in FREE}
    pretrain = str(place.get("pretrain") or "")
    return frozenset(kept | {("pretrain", pretrain if ":" in pretrain else bool(pretrain))})


NEVER_ALIKE = frozenset({"pretrain", "evaluate.protocol", "protocol"})


def by_distance(wanted: Cost, others: Iterable[Cost]) -> list[Cost]:
    """Those that are not too far, the nearest first."""
    apart = ((distance(wanted, other), other) for other in others)
    return [other for _, other in sorted((pair for pair in apart if pair[0] <= FAR), key=lambda pair: pair[0])]


def distance(wanted: Cost, other: Cost) -> float:
    """How far apart two are."""
    if wanted == other:
        return 0.0
    pairs = _differing(wanted, other)
    return math.inf if NEVER_ALIKE & pairs.keys() else sum(_apart(left, right) for left, right in pairs.values())


def differences(wanted: Cost, other: Cost) -> Iterable[str]:
    """`predictor.depth 6 for 4`: what is asked for that the other does not have."""
    return (f"{key} {left} for {right}" for key, (left, right) in sorted(_differing(wanted, other).items()))


def _differing(wanted: Cost, other: Cost) -> dict[str, tuple[Scalar, Scalar]]:
    left, right = dict(wanted - other), dict(other - wanted)
    return {key: (left.get(key), right.get(key)) for key in left.keys() | right.keys()}


def _apart(left: Scalar, right: Scalar) -> float:
    numbers = [value for value in (left, right) if isinstance(value, int | float) and not isinstance(value, bool)]
    return abs(math.log2(numbers[0] / numbers[1])) if len(numbers) == 2 and min(numbers) > 0 else 1.0


def _end(spans: Sequence[Span], *, places: int) -> Span:
    """When the last one ends, each started as soon as one of so many places is free."""
    return Span(
        least=_last([span.least for span in spans], places=places),
        likely=_last([span.likely for span in spans], places=places),
        most=_last([span.most for span in spans], places=places),
    )


def _last(seconds: Iterable[float], *, places: int) -> float:
    free_at = [0.0] * places
    for length in seconds:
        heapq.heapreplace(free_at, free_at[0] + length)
    return max(free_at)


def outlook(results: SweepResults) -> Forecast:
    """The forecast of a sweep at today's number of running trials. Its axes tell its trials apart."""
    costs = {trial.id: cost_of(trial.overrides) for trial in results.trials}
    left = [trial for trial in results.trials if trial.state in GOING_ON]
    tasks = [
        task(costs[trial.id], trial.status, steps=trial.status.total_steps or steps_of(trial.config)) for trial in left
    ]
    earlier = (comparable_trial(costs[trial.id], trial.status) for trial in results.trials)
    running = sum(trial.state is State.RUNNING for trial in left)
    return forecast(tasks, filter(None, earlier), places=running or None)
