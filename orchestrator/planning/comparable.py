"""Earlier trials of a root, as far as a forecast needs them. Reads files only.

Of many trials the newest are looked at, and some of all ages; journals are read of those alone that are nearest to what
is planned.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from iwm_core.config import TrialConfig, flatten, to_dict
from orchestrator.planning.forecast import (
    NEAREST,
    ComparableTrial,
    Cost,
    Forecast,
    Task,
    by_distance,
    comparable_trial,
    cost_of,
    forecast,
    task,
)
from orchestrator.planning.plan import Action, Plan
from orchestrator.records.layout import Layout
from orchestrator.records.scan import read_outline
from orchestrator.trial.launchers import LOCAL, check_launcher
from orchestrator.trial.lifecycle import State, TrialStatus
from orchestrator.trial.sweep import Cell, Resources

LOOKED_AT = 2_000
"""Trials whose configurations are read: half of them the newest, the other half of all ages."""
TRIED = 30
"""Of equal trials so many are opened to find some that were timed."""
DEFAULTS = flatten(to_dict(TrialConfig()))
STARTS = frozenset({Action.SUBMIT, Action.RESUME})
WAITED_FOR = frozenset({State.QUEUED, State.RUNNING})


def forecast_plan(layout: Layout, plan: Plan, *, known: Mapping[str, TrialStatus], launcher: str) -> Forecast:
    """What is left once this plan is carried out, what is under way included; `known` says how far trials are.

    Raises:
        RequestError: there is no such launcher.
    """
    left = [item.cell for item in plan.trials if item.action in STARTS or item.state in WAITED_FOR]
    places, tasks = _places([cell.resources for cell in left], launcher=launcher), _tasks(left, known)
    return forecast(tasks, comparable_trials(layout, {one.cost for one in tasks}), places=places)


def _places(resources: Sequence[Resources], *, launcher: str) -> int | None:
    """How many trials run at once; None where the queue decides."""
    if check_launcher(launcher) == LOCAL:
        return resources[0].slots if resources else None
    jobs = min((one.max_parallel for one in resources), default=0)
    return jobs * min(one.trials_per_gpu for one in resources) or None if jobs else None


def _tasks(cells: Sequence[Cell], known: Mapping[str, TrialStatus]) -> list[Task]:
    """Within a sweep the axes tell trials apart, so each of their values that costs is worked out once."""
    costs: dict[Cost, Cost] = {}
    found = []
    for cell in cells:
        on_axes = cost_of(cell.overrides)
        if on_axes not in costs:
            costs[on_axes] = cost_of(flatten(to_dict(cell.trial.config)))
        config = cell.trial.config
        steps = config.tune.steps if config.pretrain else config.train.steps
        found.append(task(costs[on_axes], known.get(cell.trial.id), steps=steps))
    return found


def comparable_trials(layout: Layout, wanted: Iterable[Cost]) -> list[ComparableTrial]:
    """The trials with times that are nearest to each of these."""
    by_cost = _newest_by_cost(layout)
    read: dict[Cost, list[ComparableTrial]] = {}
    for cost in wanted:
        for near in by_distance(cost, by_cost):
            if near not in read:
                read[near] = list(islice(_timed(layout, near, by_cost[near][:TRIED]), NEAREST))
            if read[near]:
                break
    return [one for found in read.values() for one in found]


def _timed(layout: Layout, cost: Cost, trial_ids: Iterable[str]) -> Iterable[ComparableTrial]:
    return filter(None, (comparable_trial(cost, read_outline(layout.trial(trial_id))) for trial_id in trial_ids))


def _newest_by_cost(layout: Layout) -> dict[Cost, list[str]]:
    found: dict[Cost, list[str]] = {}
    for trial_id in looked_at(layout):
        try:
            raw = json.loads(layout.trial(trial_id).value_file.read_bytes())
            found.setdefault(cost_of(DEFAULTS | flatten(raw["config"])), []).append(trial_id)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # `iwm status` names it
    return found


def looked_at(layout: Layout) -> list[str]:
    try:
        with os.scandir(layout.trials) as entries:
            times = {entry.name: entry.stat(follow_symlinks=False).st_mtime_ns for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return []
    newest_first = sorted(times, key=lambda name: (-times[name], name))
    older = newest_first[LOOKED_AT // 2 :]
    return newest_first[: LOOKED_AT // 2] + older[:: -(-len(older) // (LOOKED_AT // 2)) or 1]
