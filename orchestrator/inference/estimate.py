"""A mean with its confidence interval. Pure.

    mean +- t(0.975, n - 1) * s / sqrt(n)        s: standard deviation with n - 1 in the denominator

The interval is Student's t, 95 %, two-sided. One value has no interval.
"""

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

COVERAGE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` values; `half_width` of its interval is None where there is none (one value, or not finite)."""

    mean: float
    n: int
    half_width: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Lower and upper end."""
        if self.half_width is None:
            return None
        return self.mean - self.half_width, self.mean + self.half_width

    @property
    def excludes_zero(self) -> bool:
        """Return True where an interval exists and zero lies outside it."""
        return self.half_width is not None and abs(self.mean) > self.half_width


def estimate(values: Iterable[float]) -> Estimate | None:
    """Mean and interval of the values; None where there are no values."""
    known = list(values)
    if not known:
        return None
    if not all(math.isfinite(value) for value in known):
        return Estimate(sum(known) / len(known), len(known), None)
    return Estimate(statistics.fmean(known), len(known), _half_width(known))


def _half_width(values: list[float]) -> float | None:
    if len(values) < 2:
        return None
    spread = statistics.stdev(values)
    return t_quantile(len(values) - 1) * spread / math.sqrt(len(values))


def t_quantile(freedom: int, *, coverage: float = COVERAGE) -> float:
    """Two-sided quantile of Student's t: 12.706 for 1 degree of freedom, 1.960 for many."""
    from scipy.special import stdtrit  # costs 0.2 s, so only where an interval exists

    return float(stdtrit(freedom, 0.5 + coverage / 2))
