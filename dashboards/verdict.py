"""What a finding is, and when a difference between two levels may be called one. Pure.

A comparison holds every pair of trials that differ in one axis alone (dashboards/effects.py). Its verdict:

    clear    the sign agrees at every setting of the other axes, and
             with several seeds the 95 % interval excludes zero,
             with one seed the mean difference is at least MARGIN
    mixed    the sign differs between settings
    weak     the sign agrees, but the difference is no larger than chance may make it

MARGIN stands in for the interval that one seed cannot give. [OURS] In trial runs of the demo's size, three seeds of one
cell lay up to 0.075 apart in MRR, a standard error of about 0.04 for a difference of two means over two cells.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from dashboards.effects import MainEffect
from dashboards.wording import signed
from orchestrator.inference.estimate import Estimate

MARGIN = 0.05


class Kind(StrEnum):
    """What a sentence is for."""

    CHECK = "check"
    SUPPORTED = "supported"
    UNSUPPORTED = "unsupported"
    NEXT = "next"


@dataclass(frozen=True)
class Finding:
    """One sentence that follows from the numbers by a stated rule; `code` stands between backticks."""

    kind: Kind
    text: str


class Verdict(StrEnum):
    """What the pairs say about a difference."""

    CLEAR = "clear"
    MIXED = "mixed"
    WEAK = "weak"


@dataclass(frozen=True)
class Judged:
    """An effect with at least one pair, and its verdict."""

    effect: MainEffect
    mean: Estimate
    verdict: Verdict

    @property
    def settings(self) -> int:
        """Settings of the other axes at which the two levels meet."""
        return len(self.effect.by_place)

    @property
    def rises(self) -> int:
        """Settings at which the level is above the base."""
        return sum(difference > 0 for difference in self.effect.by_place.values())

    @property
    def falls(self) -> int:
        """Settings at which the level is below the base."""
        return sum(difference < 0 for difference in self.effect.by_place.values())

    @property
    def seeds(self) -> int:
        """Seeds among the pairs."""
        return len({pair.seed for pair in self.effect.pairs})

    def everywhere(self) -> str:
        """`in all 4 pairings`."""
        few = {1: "in the one pairing there is", 2: "in both pairings"}
        return few.get(self.settings, f"in all {self.settings} pairings")

    def size(self) -> str:
        """`0.18 on average`, with the interval where several seeds give one."""
        text = f"{abs(self.mean.mean):.2f}"
        if self.seeds > 1 and self.mean.half_width is not None:
            text += f" ± {self.mean.half_width:.2f}"
        return f"{text} on average" if len(self.effect.pairs) > 1 else text

    def reach(self) -> str:
        """The differences from the smallest to the largest setting: `-0.03 to +0.21`."""
        differences = self.effect.by_place.values()
        return f"{signed(min(differences))} to {signed(max(differences))}"

    def doubt(self) -> str:
        """Why a weak difference is not called one."""
        if self.seeds < 2 or self.mean.interval is None:
            return f"less than the {MARGIN} that another seed alone can move"
        low, high = self.mean.interval
        return f"and its interval, {signed(low)} to {signed(high)}, includes zero"


def judge(effect: MainEffect) -> Judged | None:
    """The verdict on an effect; None where no pair has two finite values."""
    mean = effect.estimate
    if mean is None or not math.isfinite(mean.mean):
        return None
    differences = effect.by_place.values()
    if not (all(item > 0 for item in differences) or all(item < 0 for item in differences)):
        return Judged(effect, mean, Verdict.MIXED)
    several = len({pair.seed for pair in effect.pairs}) > 1
    enough = mean.excludes_zero if several else abs(mean.mean) >= MARGIN
    return Judged(effect, mean, Verdict.CLEAR if enough else Verdict.WEAK)
