"""A metric's history as SVG: one line, the attempts that wrote it told apart by cuts. Pure.

The line has at most `MOST` points, each the last of its stretch of steps; a page of ten metrics stays small. Values
that are not finite break the line. Numbers go in as text of our own making, so nothing here needs escaping.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.trial.lifecycle import Attempt, Point

MOST = 400
WIDTH, HEIGHT = 420, 120


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


def curves(points: Iterable[Point], *, attempts: Sequence[Attempt], total_steps: int) -> tuple[Curve, ...]:
    """Every metric with two finite values or more, the loss first, then by name."""
    by_key: dict[str, list[Point]] = {}
    for point in points:
        by_key.setdefault(point.key, []).append(point)
    drawn = (_curve(key, found, attempts=attempts, total=total_steps) for key, found in by_key.items())
    return tuple(sorted((curve for curve in drawn if curve), key=lambda curve: (curve.key != "loss", curve.key)))


def _curve(key: str, points: Sequence[Point], *, attempts: Sequence[Attempt], total: int) -> Curve | None:
    finite = [point for point in points if math.isfinite(point.value)]
    if len(finite) < 2:
        return None
    low, high = min(point.value for point in finite), max(point.value for point in finite)
    last_step = max(total, points[-1].step, 1)
    return Curve(
        key=key,
        path=_path(thinned(points), last_step=last_step, low=low, high=high),
        lowest=low,
        highest=high,
        last=finite[-1].value,
        steps=last_step,
        cuts=tuple(
            (WIDTH * attempt.resumed_from_step / last_step, f"attempt {attempt.number} on {attempt.host}")
            for attempt in attempts
            if attempt.has_begun and attempt.resumed_from_step
        ),
    )


def thinned(points: Sequence[Point], *, most: int = MOST) -> Sequence[Point]:
    """At most `most` points: the last of each of so many equal stretches, and the very first."""
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
