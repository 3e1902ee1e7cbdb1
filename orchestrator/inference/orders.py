"""Test whether our numbers have the order of a paper's, and correlate measures over models. Pure.

An order is a list of places, each with the paper's value and ours by seed. Of every two places with different values in
the paper, the better one first, d_s is the difference of ours at seed s:

    agrees       the 95 % CI of the mean of d_s (Student's t) lies above zero
    opposed      it lies below zero
    undecided    it includes zero, or there is no interval: fewer than two seeds that both places share

    tau = (pairs in the paper's order - pairs in the opposite one) / pairs      Kendall's, by our means alone

One interval in twenty misses by chance, so a single pair among dozens proves little.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import combinations
from statistics import StatisticsError, correlation, fmean

from orchestrator.inference.estimate import Estimate, estimate

FEWEST = 3
"""The fewest points for a correlation."""


class Verdict(StrEnum):
    """The verdict of our seeds on the order of two places."""

    AGREES = "agrees"
    OPPOSED = "opposed"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Place:
    """One place of an order: the paper's value, and ours by seed (at least one)."""

    name: str
    paper: float
    ours: Mapping[int, float]

    @property
    def mean(self) -> float:
        """The mean of our values over seeds."""
        return fmean(self.ours.values())


@dataclass(frozen=True)
class Pair:
    """Two places with different values in the paper."""

    better: Place
    worse: Place

    @cached_property
    def verdict(self) -> Verdict:
        """The verdict by the interval of the differences."""
        shared = self.better.ours.keys() & self.worse.ours.keys()
        known = estimate(self.better.ours[seed] - self.worse.ours[seed] for seed in sorted(shared))
        if known is None or not known.excludes_zero:
            return Verdict.UNDECIDED
        return Verdict.AGREES if known.mean > 0 else Verdict.OPPOSED


@dataclass(frozen=True)
class Order:
    """Places of one measure, or of one model in several measures."""

    title: str
    places: tuple[Place, ...]

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Every two places with different values in the paper."""
        ranked = sorted(self.places, key=lambda place: -place.paper)
        return tuple(Pair(first, second) for first, second in combinations(ranked, 2) if first.paper > second.paper)

    def count(self, verdict: Verdict) -> int:
        """The number of pairs with this verdict."""
        return sum(pair.verdict is verdict for pair in self.pairs)

    @property
    def tau(self) -> float:
        """Kendall's tau over `pairs`; 0 without a pair."""
        signs = [(pair.better.mean > pair.worse.mean) - (pair.better.mean < pair.worse.mean) for pair in self.pairs]
        return fmean(signs) if signs else 0.0


def correlations(points: Sequence[tuple[Mapping[int, float], Mapping[int, float]]]) -> Estimate | None:
    """Mean and interval over seeds of Pearson's correlation of two measures over models.

    Each point has the values of one model by seed; seeds with fewer than `FEWEST` models are left out.
    """
    seeds = sorted({seed for one, other in points for seed in one.keys() & other.keys()})
    found = []
    for seed in seeds:
        known = [(one[seed], other[seed]) for one, other in points if seed in one and seed in other]
        if len(known) >= FEWEST:
            try:
                found.append(correlation(*zip(*known, strict=True)))
            except StatisticsError:  # a measure that is constant
                continue
    return estimate(found)
