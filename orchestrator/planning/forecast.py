"""Forecast durations from the medians of comparable trials; "ETA unknown" without one.

    seconds of a trial = steps left x seconds per step + seconds after its last step      (its evaluation)

Trials are comparable if their configurations differ only in settings that cost no time (`FREE`), such as the seed. A
running trial is forecast from its own speed. Starting workers and waiting in a queue are not included.
"""

import heapq
import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from iwm_core.config import TrialConfig, flatten, to_dict
from orchestrator.planning.plan import Action, Plan
from orchestrator.records.layout import Layout
from orchestrator.records.scan import read_outline
from orchestrator.trial.launchers import LOCAL, check_launcher
from orchestrator.trial.lifecycle import GOING_ON, State, TrialStatus
from orchestrator.trial.results import SweepResults, gpus
from orchestrator.trial.sweep import Resources, Scalar

Cost = frozenset[tuple[str, Scalar]]
"""The settings that determine how long a step takes; equal for comparable trials."""

FREE = ("seed", "pretrain", "optim", "photometric.strength", "train.steps", "train.log_every", "tune.steps", "tune.lr")
"""Settings, or groups of them, that change no step's duration."""
NEWEST, ENOUGH, TRIED = 2_000, 10, 30
"""How many trials of a root are considered, the newest first; per cost, how many with times are enough and how many
are read at most to find them."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The time that a trial has taken so far, and its remaining work.

    Attributes:
        steps: Steps that are left.
        s_per_step: Mean over its attempts; 0 for a finished trial without timed steps; None if nothing was timed.
        rest_s: Seconds after the last step; None until the trial has finished.
        gpus: GPUs that it holds; 0 on a CPU.
    """

    cost: Cost
    steps: int = 0
    s_per_step: float | None = None
    rest_s: float | None = None
    gpus: int = 0
    device: str = ""
    is_running: bool = False


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The remaining work of `trials`, in seconds; `unknown` of them have no comparable trial and no speed of their own.

    `restless` ones are forecast without the time after their last step. `eta_s` is None if a trial is unknown, or if
    it is unknown how many run at once (`places`).
    """

    trials: int
    unknown: int
    restless: int
    comparable_trials: int
    work_s: float
    gpu_s: float
    places: int | None
    eta_s: float | None
    devices: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, in hours."""
        return {
            "trials": self.trials,
            "unknown": self.unknown,
            "without_their_end": self.restless,
            "comparable_trials": self.comparable_trials,
            "devices": list(self.devices),
            "slot_hours": round(self.work_s / 3600, 4),
            "gpu_hours": round(self.gpu_s / 3600, 4),
            "at_a_time": self.places,
            "eta_hours": None if self.eta_s is None else round(self.eta_s / 3600, 4),
        }

    def lines(self, *, now: float) -> list[str]:
        """Lines for the terminal; `now` in unix seconds."""
        if not self.trials:
            return []
        if self.unknown == self.trials:
            return ["ETA unknown: no comparable trial"]
        hours, kind = (self.gpu_s / 3600, "GPU-hours") if self.gpu_s else (self.work_s / 3600, "slot-hours")
        amount = f"{hours:.2g}" if hours < 10 else f"{hours:,.0f}"
        known = self.comparable_trials
        source = f"the median of {known} comparable trials" if known else "the trials' own speed"
        on = f" on {', '.join(self.devices)}" if self.devices else ""
        without = f"; {self.unknown} of {self.trials} trials have no estimate" if self.unknown else ""
        if self.eta_s is None:
            eta = "ETA unknown" + ("" if self.unknown else ": it depends on the queue")
        else:
            at = time.strftime("%a %H:%M", time.localtime(now + self.eta_s))
            eta = f"ETA {at}, in {duration(self.eta_s)} with {self.places} at a time, plus the start of workers"
        return [f"forecast: {amount} {kind}, by {source}{on}{without}", eta]


def forecast(left: Sequence[Timing], earlier: Iterable[Timing], *, places: int | None) -> Forecast:
    """The forecast of the trials that are left, by the timed ones among `earlier`.

    `places` is how many run at once; None if that is unknown.
    """
    by_cost: dict[Cost, list[Timing]] = defaultdict(list)
    for one in earlier:
        if one.s_per_step is not None:
            by_cost[one.cost].append(one)
    work_s, gpu_s, restless, spans_s = 0.0, 0.0, 0, list[float]()
    for one in sorted(left, key=lambda one: not one.is_running):
        alike = by_cost.get(one.cost, [])
        paces_s = [each.s_per_step or 0.0 for each in alike] if one.s_per_step is None else [one.s_per_step]
        if not paces_s:
            continue
        rests_s = [each.rest_s for each in alike if each.rest_s is not None]
        restless += not rests_s
        span_s = one.steps * median(paces_s) + (median(rests_s) if rests_s else 0.0)
        spans_s.append(span_s)
        work_s += span_s
        gpu_s += span_s * (alike[0].gpus if alike else one.gpus)
    used = [each for cost in {one.cost for one in left} for each in by_cost.get(cost, ())]
    return Forecast(
        trials=len(left),
        unknown=len(left) - len(spans_s),
        restless=restless,
        comparable_trials=len(used),
        work_s=work_s,
        gpu_s=gpu_s,
        places=places,
        eta_s=_end(spans_s, places=places) if places and len(spans_s) == len(left) else None,
        devices=tuple(sorted({each.device for each in used if each.device})),
    )


def _end(spans_s: Iterable[float], *, places: int) -> float:
    """When the last trial ends, each started as soon as one of the places is free."""
    free_at = [0.0] * places
    for span_s in spans_s:
        heapq.heapreplace(free_at, free_at[0] + span_s)
    return max(free_at)


def timing(cost: Cost, status: TrialStatus | None, *, steps: int = 0) -> Timing:
    """The timing of a trial of so many steps."""
    if status is None or not status.attempts:
        return Timing(cost=cost, steps=steps)
    last, is_whole = status.attempts[-1], status.state is State.FINISHED and status.wall_s > 0
    pace_s = speed(status)
    return Timing(
        cost=cost,
        steps=max(0, steps - status.step),
        s_per_step=0.0 if pace_s is None and is_whole else pace_s,
        rest_s=sum(attempt.wall_s - attempt.stepping_s for attempt in status.attempts) if is_whole else None,
        gpus=gpus(last),
        device=str(last.fingerprint.get("device", "")),
        is_running=status.state is State.RUNNING,
    )


def speed(status: TrialStatus) -> float | None:
    """Seconds per step over all attempts; None if no step was timed."""
    timed = [attempt for attempt in status.attempts if attempt.stepping_s]
    steps = sum(max(0, attempt.step - attempt.resumed_from_step) for attempt in timed)
    return sum(attempt.stepping_s for attempt in timed) / steps if steps else None


def cost_of(settings: Mapping[str, Scalar]) -> Cost:
    """The settings that cost time. `pretrain` counts as set or unset; a timm model counts by name."""
    kept = {(key, value) for key, value in settings.items() if key not in FREE and key.partition(".")[0] not in FREE}
    pretrain = str(settings.get("pretrain") or "")
    return frozenset(kept | {("pretrain", pretrain if ":" in pretrain else bool(pretrain))})


def outlook(results: SweepResults) -> Forecast:
    """The forecast of a sweep from its own trials, with as many at once as run now; its axes tell costs apart."""
    timings = [
        timing(
            cost_of(trial.overrides),
            trial.status,
            steps=trial.status.total_steps
            or int(trial.config["tune.steps" if trial.config.get("pretrain") else "train.steps"]),
        )
        for trial in results.trials
    ]
    left = [one for one, trial in zip(timings, results.trials, strict=True) if trial.state in GOING_ON]
    return forecast(left, timings, places=sum(one.is_running for one in left) or None)


def forecast_plan(layout: Layout, plan: Plan, *, known: Mapping[str, TrialStatus], launcher: str) -> Forecast:
    """Forecast the work of this plan from a root's files; `known` are the statuses of its trials.

    Raises:
        RequestError: there is no such launcher.
    """
    starts, waited_for = {Action.SUBMIT, Action.RESUME}, {State.QUEUED, State.RUNNING}
    cells = [item.cell for item in plan.trials if item.action in starts or item.state in waited_for]
    costs: dict[Cost, Cost] = {}  # by the values on the axes, which tell the trials of a sweep apart
    left = []
    for cell in cells:
        on_axes, config = cost_of(cell.overrides), cell.trial.config
        if on_axes not in costs:
            costs[on_axes] = cost_of(flatten(to_dict(config)))
        steps = config.tune.steps if config.pretrain else config.train.steps
        left.append(timing(costs[on_axes], known.get(cell.trial.id), steps=steps))
    places = _places([cell.resources for cell in cells], launcher=launcher)
    return forecast(left, _comparable(layout, set(costs.values())), places=places)


def _places(resources: Sequence[Resources], *, launcher: str) -> int | None:
    """Return the number of trials that run at once; None if the queue decides."""
    if check_launcher(launcher) == LOCAL:
        return resources[0].slots if resources else None
    jobs = min((one.max_parallel for one in resources), default=0)
    return jobs * min(one.trials_per_gpu for one in resources) or None if jobs else None


def _comparable(layout: Layout, missing: set[Cost]) -> list[Timing]:
    """Timed trials of these costs under a root. Skips what cannot be read, which `iwm status` reports."""
    defaults = flatten(to_dict(TrialConfig()))
    found: dict[Cost, list[Timing]] = defaultdict(list)
    opened = Counter[Cost]()
    for trial_id in _newest(layout):
        if not missing:
            break
        folder = layout.trial(trial_id)
        try:
            cost = cost_of(defaults | flatten(json.loads(folder.value_file.read_bytes())["config"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        if cost in missing:
            opened[cost] += 1
            one = timing(cost, read_outline(folder))
            if one.s_per_step is not None:
                found[cost].append(one)
            if len(found[cost]) == ENOUGH or opened[cost] == TRIED:
                missing.remove(cost)
    return [one for alike in found.values() for one in alike]


def _newest(layout: Layout) -> list[str]:
    try:
        with os.scandir(layout.trials) as entries:
            times = {entry.name: entry.stat(follow_symlinks=False).st_mtime_ns for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(times, key=lambda name: (-times[name], name))[:NEWEST]


def duration(seconds: float) -> str:
    """`45 s`, `3 min`, `2 h 05`, `3 d 4 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60:02} s" if whole < 600 and whole % 60 else "")
    if whole < 172800:
        return f"{whole // 3600} h {whole % 3600 // 60:02}"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
