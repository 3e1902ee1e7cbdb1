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
from collections.abc import Mapping
from dataclasses import dataclass

from dashboards.ablation import Table
from dashboards.estimate import Estimate, estimate
from orchestrator.sweep import Scalar

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
    bases, values = (_values(table, {axis: chosen}, metric=metric) for chosen in (base, level))
    pairs = (
        Pair(place, seed, bases[place, seed], value)
        for (place, seed), value in values.items()
        if (place, seed) in bases
    )
    return MainEffect(axis=axis, metric=metric, base=base, level=level, pairs=tuple(pairs))


def main_effects(table: Table, *, metric: str) -> tuple[MainEffect, ...]:
    """Every axis: each further level against the first."""
    return tuple(
        main_effect(table, axis=axis, metric=metric, base=table.levels(axis)[0], level=level)
        for axis in table.varying
        for level in table.levels(axis)[1:]
    )


def interactions(table: Table, *, metric: str) -> tuple[Interaction, ...]:
    """Every two axes: each further level of both against the first of both; those with at least one quadruple."""
    found = []
    for axes in itertools.combinations(table.varying, 2):
        bases = (table.levels(axes[0])[0], table.levels(axes[1])[0])
        for levels in itertools.product(table.levels(axes[0])[1:], table.levels(axes[1])[1:]):
            known = _interaction(table, axes=axes, metric=metric, bases=bases, levels=levels)
            if known:
                found.append(Interaction(axes=axes, metric=metric, bases=bases, levels=levels, estimate=known))
    return tuple(found)


def _interaction(
    table: Table,
    *,
    axes: tuple[str, str],
    metric: str,
    bases: tuple[Scalar, Scalar],
    levels: tuple[Scalar, Scalar],
) -> Estimate | None:
    corners = [
        _values(table, dict(zip(axes, corner, strict=True)), metric=metric)
        for corner in itertools.product(*zip(bases, levels, strict=True))
    ]
    shared = [key for key in corners[0] if all(key in corner for corner in corners)]
    low_low, low_high, high_low, high_high = corners
    return estimate((high_high[key] - low_high[key]) - (high_low[key] - low_low[key]) for key in shared)


def _values(table: Table, fixed: Mapping[str, Scalar], *, metric: str) -> dict[tuple[Place, int], float]:
    """The finished values where the axes stand as in `fixed`, by the levels of the other axes and the seed."""
    found = {}
    for cell in table.cells:
        if all(axis in cell.levels and cell.levels[axis] == level for axis, level in fixed.items()):
            place = tuple(item for item in cell.levels.items() if item[0] not in fixed)
            found |= {(place, seed): value for seed, value in cell.values(metric).items()}
    return found
