"""What an axis does to a metric, and what two do together. Pure.

    main effect of a level         mean over pairs       of  y(level) - y(base)
    interaction of two levels      mean over quadruples  of  [y(a, b) - y(a0, b)] - [y(a, b0) - y(a0, b0)]

Trials form a pair (a quadruple) when they agree in every other axis and in the seed; one whose partner is missing is
left out. `base` is the first level in the sweep's order unless another is asked for.

The interval takes pairs as independent draws. Pairs of several cells share seeds and may differ in their true effect,
so with one seed it speaks of the spread between cells and says nothing about other seeds.
"""

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.ablation import Table
from orchestrator.inference.estimate import Estimate, estimate
from orchestrator.trial.sweep import Scalar

Place = tuple[tuple[str, Scalar], ...]


@dataclass(frozen=True)
class Pair:
    """Two finished trials that differ in one axis alone. `place`: the axes and levels they share."""

    place: Place
    seed: int
    base: float
    value: float

    @property
    def difference(self) -> float:
        """What the level adds to the base."""
        return self.value - self.base


@dataclass(frozen=True, kw_only=True)
class MainEffect:
    """One level of an axis against the base level."""

    axis: str
    metric: str
    base: Scalar
    level: Scalar
    pairs: tuple[Pair, ...]

    @property
    def estimate(self) -> Estimate | None:
        """The mean difference; None without a pair."""
        return estimate(pair.difference for pair in self.pairs)

    @property
    def by_place(self) -> dict[Place, float]:
        """The mean difference over seeds, at each setting of the other axes."""
        grouped: dict[Place, list[float]] = {}
        for pair in self.pairs:
            grouped.setdefault(pair.place, []).append(pair.difference)
        return {place: statistics.fmean(differences) for place, differences in grouped.items()}


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """How far the effect of one axis depends on another."""

    axes: tuple[str, str]
    metric: str
    bases: tuple[Scalar, Scalar]
    levels: tuple[Scalar, Scalar]
    estimate: Estimate


def main_effect(table: Table, *, axis: str, metric: str, base: Scalar, level: Scalar) -> MainEffect:
    """The effect of `level` against `base`, over all pairs that exist."""
    return _effect(_by_levels(table, (axis,), metric=metric), axis=axis, metric=metric, base=base, level=level)


def main_effects(table: Table, *, metric: str) -> tuple[MainEffect, ...]:
    """Every axis: each further level against the first."""
    found = []
    for axis in table.varying:
        known = _by_levels(table, (axis,), metric=metric)
        base, *further = table.levels(axis)
        found += [_effect(known, axis=axis, metric=metric, base=base, level=level) for level in further]
    return tuple(found)


def _effect(known: "ByLevels", *, axis: str, metric: str, base: Scalar, level: Scalar) -> MainEffect:
    bases = known.get((base,), {})
    pairs = (
        Pair(place, seed, bases[place, seed], value)
        for (place, seed), value in known.get((level,), {}).items()
        if (place, seed) in bases
    )
    return MainEffect(axis=axis, metric=metric, base=base, level=level, pairs=tuple(pairs))


def interactions(table: Table, *, metric: str) -> tuple[Interaction, ...]:
    """Every two axes: each further level of both against the first of both; those with at least one quadruple."""
    found = []
    for axes in itertools.combinations(table.varying, 2):
        known = _by_levels(table, axes, metric=metric)
        bases = (table.levels(axes[0])[0], table.levels(axes[1])[0])
        for levels in itertools.product(table.levels(axes[0])[1:], table.levels(axes[1])[1:]):
            corners = [known.get(corner, {}) for corner in itertools.product(*zip(bases, levels, strict=True))]
            if mean := _interaction(corners):
                found.append(Interaction(axes=axes, metric=metric, bases=bases, levels=levels, estimate=mean))
    return tuple(found)


def _interaction(corners: Sequence["Values"]) -> Estimate | None:
    shared = [key for key in corners[0] if all(key in corner for corner in corners)]
    low_low, low_high, high_low, high_high = corners
    return estimate((high_high[key] - low_high[key]) - (high_low[key] - low_low[key]) for key in shared)


Values = dict[tuple[Place, int], float]
"""Finished values by the levels of the axes that are not looked at, and the seed."""
ByLevels = dict[tuple[Scalar, ...], Values]


def _by_levels(table: Table, axes: tuple[str, ...], *, metric: str) -> ByLevels:
    """The finished values by the levels of these axes: one pass over the cells, of which there may be thousands."""
    found: ByLevels = {}
    for cell in table.cells:
        if all(axis in cell.levels for axis in axes):
            place = tuple(item for item in cell.levels.items() if item[0] not in axes)
            inside = found.setdefault(tuple(cell.levels[axis] for axis in axes), {})
            for seed, value in cell.values(metric).items():
                inside[place, seed] = value
    return found
