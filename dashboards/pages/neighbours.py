"""Trials of a sweep that differ from a given one in a single axis: where a reader goes next. Pure."""

from dataclasses import dataclass

from dashboards.wording import axis_name, level_name
from orchestrator.results import SweepResults, TrialResult
from orchestrator.sweep import Scalar


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """Another trial, and the one setting that makes the difference."""

    trial_id: str
    axis: str
    here: str
    there: str
    state: str


def neighbours(results: SweepResults, trial: TrialResult) -> tuple[Neighbour, ...]:
    """In the sweep's order, axis by axis."""
    here = next((other.overrides for other in results.trials if other.id == trial.id), trial.overrides)
    found = []
    for other in results.trials:
        axes = [axis for axis in {**here, **other.overrides} if here.get(axis) != other.overrides.get(axis)]
        if len(axes) == 1:
            found.append(_neighbour(other, axis=axes[0], here=here.get(axes[0])))
    order = {axis: place for place, axis in enumerate(results.record.axes)}
    found.sort(key=lambda one: order.get(one[0], len(order)))
    return tuple(neighbour for _, neighbour in found)


def _neighbour(other: TrialResult, *, axis: str, here: Scalar) -> tuple[str, Neighbour]:
    there = other.overrides.get(axis)
    named = Neighbour(
        trial_id=other.id, axis=axis_name(axis), here=level_name(here), there=level_name(there), state=other.state.value
    )
    return axis, named
