"""Trials of a sweep that differ from a given one in a single axis: where a reader goes next. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from dashboards.wording import axis_name, level_name
from orchestrator.trial.lifecycle import State
from orchestrator.trial.results import SweepResults, TrialResult

MOST = 12
"""Neighbours along one axis that are shown; a sweep may have a thousand seeds."""


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """Another trial, its level on the axis that makes the difference, and what it came to (None: not there yet)."""

    trial_id: str
    level: str
    state: str
    value: float | None


@dataclass(frozen=True, kw_only=True)
class Direction:
    """The neighbours along one axis, in the sweep's order, and how many more there are."""

    axis: str
    here: str
    neighbours: tuple[Neighbour, ...]
    more: int


def neighbours(results: SweepResults, trial: TrialResult, *, metric: str = "") -> tuple[Direction, ...]:
    """Axis by axis, in the sweep's order; `metric` is what their values are of."""
    here = next((other.overrides for other in results.trials if other.id == trial.id), trial.overrides)
    places = {other.id: place for place, other in enumerate(results.trials)}
    found: dict[str, list[TrialResult]] = {axis: [] for axis in results.record.axes}
    for other in results.trials:
        if axis := _only_difference(here, other.overrides):
            found.setdefault(axis, []).append(other)
    start = places.get(trial.id, 0)

    def direction(axis: str, others: list[TrialResult]) -> Direction:
        nearest = sorted(others, key=lambda other: abs(places[other.id] - start))[:MOST]
        in_order = sorted(nearest, key=lambda other: places[other.id])
        return Direction(
            axis=axis_name(axis),
            here=level_name(here[axis]) if axis in here else "",
            neighbours=tuple(_neighbour(other, axis=axis, metric=metric) for other in in_order),
            more=len(others) - len(nearest),
        )

    return tuple(direction(axis, others) for axis, others in found.items() if others)


def _only_difference(here: Mapping[str, object], there: Mapping[str, object]) -> str:
    """The one axis in which they differ; empty where they differ in none or in several."""
    axes = [axis for axis in {**here, **there} if here.get(axis) != there.get(axis)]
    return axes[0] if len(axes) == 1 else ""


def _neighbour(other: TrialResult, *, axis: str, metric: str) -> Neighbour:
    done = other.state is State.FINISHED
    return Neighbour(
        trial_id=other.id,
        level=level_name(other.overrides[axis]) if axis in other.overrides else "",
        state=other.state.value,
        value=other.status.metrics.get(metric) if done else None,
    )
