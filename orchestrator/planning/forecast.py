"""How long work will take: the medians of comparable trials, and without one "ETA unknown".

    seconds of a trial = steps left x seconds a step + seconds after its last step      (its evaluation)

Trials are comparable where one costs what the other does: their configurations differ only in what costs no time
(`FREE`), such as the seed. A trial that runs goes by its own speed. Starting workers and waiting for a place in a queue
come on top.
"""

import heapq
import json
import os
import time
from collections import defaultdict
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
from orchestrator.trial.sweep import Cell, Resources, Scalar

Cost = frozenset[tuple[str, Scalar]]
"""What of a configuration costs time; equal for comparable trials."""

FREE = ("seed", "pretrain", "optim", "photometric.strength", "train.steps", "train.log_every", "tune.steps", "tune.lr")
"""Settings, or groups of them, that change no step's duration."""
LOOKED_AT, ENOUGH, TRIED = 2_000, 10, 30
"""So many trials under a root are looked at, the newest first; of equal ones so many with times are enough, and so many
are opened to find them."""


@dataclass(frozen=True, kw_only=True)
class ComparableTrial:
    """What an earlier trial took. `rest_s`, after its last step, is known once it has finished; 0 GPUs: on a CPU."""

    cost: Cost
    s_per_step: float
    rest_s: float | None
    gpus: int = 0
    device: str = ""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A trial that has not finished: its steps that are left, and its own speed where it has one."""

    cost: Cost
    steps: int
    s_per_step: float | None = None
    gpus: int = 0
    is_running: bool = False


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What is left of so many trials, in seconds; of `unknown` ones nothing is known.

    `restless` ones are told without what follows their last step. `eta_s` is None where a trial is unknown, or how many
    run at once (`places`).
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
        """For a person."""
        if not self.trials:
            return []
        if self.unknown == self.trials:
            return ["ETA unknown: no comparable trial"]
        hours, kind = (self.gpu_s, "GPU-hours") if self.gpu_s else (self.work_s, "slot-hours")
        work = f"forecast: {hours / 3600:.2g} {kind}" if hours < 36_000 else f"forecast: {hours / 3600:,.0f} {kind}"
        by = (
            f"by the median of {self.comparable_trials} comparable trials" if self.comparable_trials else "by own speed"
        )
        on = f" on {', '.join(self.devices)}" if self.devices else ""
        without = f"; {self.unknown} of {self.trials} trials have none" if self.unknown else ""
        if self.eta_s is None:
            eta = "ETA unknown" + ("" if self.unknown else ": it depends on the queue")
        else:
            at = time.strftime("%a %H:%M", time.localtime(now + self.eta_s))
            eta = f"ETA {at}, in {duration(self.eta_s)} at {self.places} at a time, starting workers apart"
        return [f"{work}, {by}{on}{without}", eta]


def forecast(tasks: Sequence[Task], earlier: Iterable[ComparableTrial], *, places: int | None) -> Forecast:
    """The forecast of these tasks, of which so many run at once (None: not known)."""
    by_cost: dict[Cost, list[ComparableTrial]] = defaultdict(list)
    for one in earlier:
        by_cost[one.cost].append(one)
    work_s, gpu_s, restless, spans = 0.0, 0.0, 0, list[float]()
    for one in sorted(tasks, key=lambda one: not one.is_running):
        alike = by_cost.get(one.cost, [])
        if one.s_per_step is None and not alike:
            continue
        pace_s = median(each.s_per_step for each in alike) if one.s_per_step is None else one.s_per_step
        rests_s = [each.rest_s for each in alike if each.rest_s is not None]
        restless += not rests_s
        spans.append(one.steps * pace_s + (median(rests_s) if rests_s else 0.0))
        work_s += spans[-1]
        gpu_s += spans[-1] * (alike[0].gpus if alike else one.gpus)
    used = [each for cost in {one.cost for one in tasks} for each in by_cost.get(cost, ())]
    return Forecast(
        trials=len(tasks),
        unknown=len(tasks) - len(spans),
        restless=restless,
        comparable_trials=len(used),
        work_s=work_s,
        gpu_s=gpu_s,
        places=places,
        eta_s=_end(spans, places=places) if places and len(spans) == len(tasks) else None,
        devices=tuple(sorted({each.device for each in used if each.device})),
    )


def _end(spans_s: Iterable[float], *, places: int) -> float:
    """When the last one ends, each started as soon as one of so many places is free."""
    free_at = [0.0] * places
    for span_s in spans_s:
        heapq.heapreplace(free_at, free_at[0] + span_s)
    return max(free_at)


def comparable_trial(cost: Cost, status: TrialStatus) -> ComparableTrial | None:
    """What a trial says of others; None where it has not finished and no step of it was timed."""
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


def cost_of(settings: Mapping[str, Scalar]) -> Cost:
    """What of these settings costs time. Of `pretrain` it is whether there is one and, of timm's models, which."""
    kept = {(key, value) for key, value in settings.items() if key not in FREE and key.partition(".")[0] not in FREE}
    pretrain = str(settings.get("pretrain") or "")
    return frozenset(kept | {("pretrain", pretrain if ":" in pretrain else bool(pretrain))})


def outlook(results: SweepResults) -> Forecast:
    """The forecast of a sweep at today's number of running trials, from its own trials; its axes tell them apart."""
    costs = {trial.id: cost_of(trial.overrides) for trial in results.trials}
    left = [trial for trial in results.trials if trial.state in GOING_ON]
    tasks = [
        task(costs[trial.id], trial.status, steps=trial.status.total_steps or _steps(trial.config)) for trial in left
    ]
    earlier = (comparable_trial(costs[trial.id], trial.status) for trial in results.trials)
    running = sum(trial.state is State.RUNNING for trial in left)
    return forecast(tasks, filter(None, earlier), places=running or None)


def _steps(config: Mapping[str, Any]) -> int:
    """The steps of a trial with this flat configuration; of an evaluation those that tune."""
    return int(config["tune.steps" if config.get("pretrain") else "train.steps"])


def forecast_plan(layout: Layout, plan: Plan, *, known: Mapping[str, TrialStatus], launcher: str) -> Forecast:
    """What is left once this plan is carried out, from a root's files; `known` says how far trials are.

    Raises:
        RequestError: there is no such launcher.
    """
    starts, waited_for = {Action.SUBMIT, Action.RESUME}, {State.QUEUED, State.RUNNING}
    left = [item.cell for item in plan.trials if item.action in starts or item.state in waited_for]
    places, tasks = _places([cell.resources for cell in left], launcher=launcher), _tasks(left, known)
    return forecast(tasks, _comparable(layout, {one.cost for one in tasks}), places=places)


def _places(resources: Sequence[Resources], *, launcher: str) -> int | None:
    """How many trials run at once; None where the queue decides."""
    if check_launcher(launcher) == LOCAL:
        return resources[0].slots if resources else None
    jobs = min((one.max_parallel for one in resources), default=0)
    return jobs * min(one.trials_per_gpu for one in resources) or None if jobs else None


def _tasks(cells: Sequence[Cell], known: Mapping[str, TrialStatus]) -> list[Task]:
    """Within a sweep the axes tell trials apart, so the cost of each of their values is worked out once."""
    costs: dict[Cost, Cost] = {}
    found = []
    for cell in cells:
        on_axes, config = cost_of(cell.overrides), cell.trial.config
        if on_axes not in costs:
            costs[on_axes] = cost_of(flatten(to_dict(config)))
        steps = config.tune.steps if config.pretrain else config.train.steps
        found.append(task(costs[on_axes], known.get(cell.trial.id), steps=steps))
    return found


def _comparable(layout: Layout, wanted: set[Cost]) -> list[ComparableTrial]:
    """Earlier trials of these costs. What cannot be read is passed over: `iwm status` names it."""
    defaults, missing = flatten(to_dict(TrialConfig())), set(wanted)
    found: dict[Cost, list[ComparableTrial]] = defaultdict(list)
    opened: dict[Cost, int] = defaultdict(int)
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
            if one := comparable_trial(cost, read_outline(folder)):
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
    return sorted(times, key=lambda name: (-times[name], name))[:LOOKED_AT]


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
