"""The neighbours of a trial in its sweep, and its learning curves as SVG. Pure.

Neighbours differ from a trial in a single axis. A curve is one line of at most `POINTS_MAX` points, each the last of
its stretch of steps, so a page of ten metrics stays small; cuts mark where an attempt resumed, and values that are not
finite break the line. Numbers become text here, so nothing needs escaping.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dashboards.wording import axis_name, level_name
from orchestrator.trial.lifecycle import Point, State, TrialStatus
from orchestrator.trial.results import SweepResults, TrialResult

NEIGHBOURS_MAX = 12
"""Neighbours shown along one axis; a sweep may have a thousand seeds."""
POINTS_MAX = 400
WIDTH, HEIGHT = 420, 120


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """Another trial, its level on the axis that differs, and its final value (None: not finished)."""

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
    """The neighbours of a trial along each axis, in the sweep's order, with their values of `metric`."""
    here = next((other.overrides for other in results.trials if other.id == trial.id), trial.overrides)
    places = {other.id: place for place, other in enumerate(results.trials)}
    found: dict[str, list[TrialResult]] = {axis: [] for axis in results.record.axes}
    for other in results.trials:
        if axis := _only_difference(here, other.overrides):
            found.setdefault(axis, []).append(other)
    start = places.get(trial.id, 0)

    def direction(axis: str, others: list[TrialResult]) -> Direction:
        nearest = sorted(others, key=lambda other: abs(places[other.id] - start))[:NEIGHBOURS_MAX]
        in_order = sorted(nearest, key=lambda other: places[other.id])
        return Direction(
            axis=axis_name(axis),
            here=level_name(here[axis]) if axis in here else "",
            neighbours=tuple(_neighbour(other, axis=axis, metric=metric) for other in in_order),
            more=len(others) - len(nearest),
        )

    return tuple(direction(axis, others) for axis, others in found.items() if others)


def _only_difference(here: Mapping[str, object], there: Mapping[str, object]) -> str:
    """The one axis in which they differ; empty where none or several differ."""
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


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One metric: the path in a box of WIDTH x HEIGHT, its range, its last value and the cuts between attempts."""

    key: str
    path: str
    lowest: float
    highest: float
    last: float
    steps: int
    cuts: tuple[tuple[float, str], ...]  # x, and what happened there


def curves(points: Iterable[Point], status: TrialStatus) -> tuple[Curve, ...]:
    """Every metric with at least two finite values, the loss first, then by name."""
    by_key: dict[str, list[Point]] = {}
    for point in points:
        by_key.setdefault(point.key, []).append(point)
    drawn = (_curve(key, found, status) for key, found in by_key.items())
    return tuple(sorted((curve for curve in drawn if curve), key=lambda curve: (curve.key != "loss", curve.key)))


def _curve(key: str, points: Sequence[Point], status: TrialStatus) -> Curve | None:
    finite = [point for point in points if math.isfinite(point.value)]
    if len(finite) < 2:
        return None
    low, high = min(point.value for point in finite), max(point.value for point in finite)
    last_step = max(status.total_steps, points[-1].step, 1)
    return Curve(
        key=key,
        path=_path(thinned(points), last_step=last_step, low=low, high=high),
        lowest=low,
        highest=high,
        last=finite[-1].value,
        steps=last_step,
        cuts=tuple(
            (WIDTH * attempt.resumed_from_step / last_step, f"attempt {attempt.number} on {attempt.host}")
            for attempt in status.attempts
            if attempt.has_begun and attempt.resumed_from_step
        ),
    )


def thinned(points: Sequence[Point], *, most: int = POINTS_MAX) -> Sequence[Point]:
    """At most `most` points: the first one, and the last of each of `most - 1` equal stretches."""
    if len(points) <= most:
        return points
    return [points[0], *(points[(at + 1) * len(points) // (most - 1) - 1] for at in range(most - 1))]


def _path(points: Sequence[Point], *, last_step: int, low: float, high: float) -> str:
    pieces, pen = [], "M"
    for point in points:
        if not math.isfinite(point.value):
            pen = "M"
            continue
        height = (point.value - low) / (high - low) if high > low else 0.5
        pieces.append(f"{pen}{WIDTH * point.step / last_step:.1f} {HEIGHT * (1 - height):.1f}")
        pen = "L"
    return "".join(pieces)
