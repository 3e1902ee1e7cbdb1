"""The effects of a sweep's axes on its headline metric, as sentences. Pure.

Only readable cells count: of MRR, cells that are neither blind to the action nor collapsed. Of MRR, a pair counts when
at least one of its values has left the floor: between two cells at the floor there is nothing to compare.

A numeric axis: its highest level against its lowest is a trend where the verdict of orchestrator/inference/effects.py
is clear. Where it is not, each level of the first categorical axis is examined alone.

A categorical axis: first the best cell, and what the other levels reach at the same setting; where no other level has
that setting, only the first such axis names it. Then each level against the next one in the order of their means.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from statistics import fmean

from dashboards.cells import FLOOR, HEADLINES, MRR, Cell, Table, is_numeric
from dashboards.findings.checks import FLOOR_TOLERANCE, Finding, Kind
from dashboards.wording import axis_name, capital, level_name, listed, metric_name, more_of, place_name, signed
from orchestrator.inference.effects import MARGIN, Effect, Sample, Verdict, effect, ranked_levels, reversals
from orchestrator.trial.sweep import Scalar


def axis_findings(table: Table) -> Iterator[Finding]:
    """The findings on every axis that varies, or why there are none."""
    metric = table.headline
    if metric is None:
        wanted = " nor ".join(map(metric_name, HEADLINES))
        text = f"No finished trial has measured {wanted}, so the axes cannot be compared."
        yield Finding(Kind.UNSUPPORTED, text)
        return
    judged = Readable(table.where(lambda cell: _is_readable(cell, metric=metric)), metric)
    if metric == MRR and judged.table.cells and not any(map(_above_floor, judged.table.cells)):
        yield _too_small(judged.table)
        return
    categorical = [axis for axis in table.varying if (levels := judged.table.levels(axis)) and not is_numeric(levels)]
    for axis in table.varying:
        if axis in categorical:
            yield from judged.ranking(axis, leads=axis == categorical[0])
        elif len(judged.table.levels(axis)) > 1:
            yield from judged.trend(axis)


def _is_readable(cell: Cell, *, metric: str) -> bool:
    mean = cell.mean(metric)
    if mean is None or not math.isfinite(mean):
        return False
    return metric != MRR or not (cell.is_blind or cell.is_collapsed)


def _above_floor(cell: Cell) -> bool:
    mrr, floor = cell.mean(MRR), cell.mean(FLOOR)
    return mrr is not None and (floor is None or mrr - floor > FLOOR_TOLERANCE)


def _too_small(table: Table) -> Finding:
    best = max(table.cells, key=lambda cell: cell.mean(MRR) or 0.0)
    steps = max(int(trial.config.get("train.steps", 0)) for cell in table.cells for trial in cell.trials)
    text = (
        f"MRR stays at its floor in every cell (best {best.mean(MRR) or 0.0:.3f}, floor {best.mean(FLOOR) or 0.0:.3f}):"
        f" {steps} steps are too small a budget to compare the axes."
    )
    return Finding(Kind.UNSUPPORTED, text)


@dataclass(frozen=True)
class Readable:
    """The readable cells of a sweep, judged by one metric."""

    table: Table
    metric: str

    @cached_property
    def samples(self) -> list[Sample]:
        """The values of the metric."""
        return self.table.samples(self.metric)

    @cached_property
    def above(self) -> float:
        """The value that at least one of a pair must exceed."""
        floors = self.table.means(FLOOR) if self.metric == MRR else []
        return fmean(floors) + FLOOR_TOLERANCE if floors else -math.inf

    def compare(self, axis: str, *, base: Scalar, level: Scalar) -> Effect:
        """`level` against `base`, over the pairs that count."""
        return effect(self.samples, axis=axis, base=base, level=level, above=self.above)

    def trend(self, axis: str) -> Iterator[Finding]:
        """The findings on a numeric axis with at least two levels."""
        low, *_, high = self.table.ordered(axis)
        whole = self.compare(axis, base=low, level=high)
        if whole.verdict is None:
            yield _no_conclusion(axis)
        elif whole.verdict is Verdict.CLEAR:
            yield self._trend(whole)
        else:
            yield _no_trend(whole, self.metric)
            for other, part in self._parts(axis):
                inside = Readable(
                    self.table.where(lambda cell, at=(other, part): at in cell.levels.items()), self.metric
                )
                found = inside.compare(axis, base=low, level=high)
                if found.is_clear_in_part:
                    yield inside._trend(found, within=f"within {axis_name(other)} {level_name(part)}: ")

    def _parts(self, axis: str) -> Iterator[tuple[str, Scalar]]:
        """The levels of the first categorical axis other than `axis`."""
        others = (other for other in self.table.varying if other != axis)
        first = next((other for other in others if not is_numeric(self.table.levels(other))), None)
        yield from ((first, level) for level in self.table.levels(first)) if first else ()

    def _trend(self, found: Effect, *, within: str = "") -> Finding:
        levels = self.table.ordered(found.axis)
        against = reversals(self.samples, found, levels=levels, above=self.above)[:1]
        but = "".join(f", though not from {level_name(low)} to {level_name(high)}" for low, high in against)
        text = (
            f"{within}{more_of(found.axis)} gives a {_higher(found)} {metric_name(self.metric)} {_everywhere(found)}: "
            f"from {axis_name(found.axis)} {level_name(found.base)} to {level_name(found.level)} by {_size(found)}"
            f"{self._by_part(found)}{but}."
        )
        return Finding(Kind.SUPPORTED, capital(text))

    def _by_part(self, found: Effect) -> str:
        """` (feature 0.21 to 0.41, sequence 0.15 to 0.29)`: the means of the pairs, by the first categorical axis."""
        words = []
        for axis, level in self._parts(found.axis):
            pairs = [pair for pair in found.pairs if (axis, level) in pair.setting]
            if pairs:
                before, after = fmean(pair.base for pair in pairs), fmean(pair.value for pair in pairs)
                words.append(f"{level_name(level)} {before:.2f} to {after:.2f}")
        return f" ({', '.join(words)})" if words else ""

    def ranking(self, axis: str, *, leads: bool = True) -> Iterator[Finding]:
        """The findings on a categorical axis; only one that leads names a best cell without others at its setting."""
        order = ranked_levels(self.samples, axis=axis)
        inside = [cell for cell in self.table.cells if axis in cell.levels]
        best = max(inside, key=lambda cell: cell.mean(self.metric) or 0.0)
        setting = _setting(best, without=axis)
        same = {cell.levels[axis]: cell for cell in inside if _setting(cell, without=axis) == setting}
        others = [level for level in order if level in same and same[level] is not best]
        if others or leads:
            rest = listed(f"{level_name(level)} reaches {self._value(same[level])}" for level in others)
            text = f"{axis_name(axis)} {level_name(best.levels[axis])} reaches {metric_name(self.metric)} "
            text += self._value(best) + (f" ({place_name(setting)})" if setting else "")
            text += f"; at the same setting {rest}." if rest else "."
            yield Finding(Kind.SUPPORTED, capital(text))
        for better, worse in pairwise(order):
            found = self.compare(axis, base=worse, level=better)
            yield _ranked(found, self.metric) if found.verdict else _no_conclusion(axis, better, worse)

    def _value(self, cell: Cell) -> str:
        known = cell.estimate(self.metric)
        assert known, "only cells that have the metric are readable"
        return f"{known.mean:.2f}" + (f" ± {known.half_width:.2f}" if known.half_width is not None else "")


def _setting(cell: Cell, *, without: str) -> Mapping[str, Scalar]:
    return {axis: level for axis, level in cell.levels.items() if axis != without}


def _ranked(found: Effect, metric: str) -> Finding:
    name, axis = metric_name(metric), axis_name(found.axis)
    better, worse = level_name(found.level), level_name(found.base)
    if found.verdict is Verdict.CLEAR:
        text = f"{axis} {better} gives a {_higher(found)} {name} than {worse} {_everywhere(found)}, by {_size(found)}."
        return Finding(Kind.SUPPORTED, capital(text))
    if found.verdict is Verdict.MIXED:
        how = f"higher in {found.rises} and lower in {found.falls} of {_reach(found)}"
    else:
        how = f"{_higher(found)} by {_size(found)}, {_doubt(found)}"
    text = f"The difference between {axis} {better} and {worse} is inconclusive: {name} of {better} is {how}."
    return Finding(Kind.UNSUPPORTED, text)


def _no_trend(found: Effect, metric: str) -> Finding:
    if found.verdict is Verdict.MIXED:
        how = f"rises in {found.rises} and falls in {found.falls} of {_reach(found)}"
    else:
        how = f"{'rises' if found.rises else 'falls'} by {_size(found)}, {_doubt(found)}"
    step = f"from {level_name(found.base)} to {level_name(found.level)} {metric_name(metric)} {how}"
    return Finding(Kind.UNSUPPORTED, capital(f"{axis_name(found.axis)} shows no robust trend: {step}."))


def _no_conclusion(axis: str, *levels: Scalar) -> Finding:
    """An axis, or two of its levels, without pairs: it moves with another axis, or the partners have not finished."""
    which = f"{axis_name(axis)} {' vs '.join(map(level_name, levels))}".strip()
    text = f"No conclusion about {which}: no two finished trials above the floor differ in it alone."
    return Finding(Kind.UNSUPPORTED, text)


def _higher(found: Effect) -> str:
    return "higher" if found.rises else "lower"


def _everywhere(found: Effect) -> str:
    settings = len(found.by_setting)
    return {1: "in the only pairing", 2: "in both pairings"}.get(settings, f"in all {settings} pairings")


def _size(found: Effect) -> str:
    """`0.18 on average`, with the half-width of the interval where several seeds give one."""
    mean = found.estimate
    assert mean, "an effect with a verdict has a mean"
    half = f" ± {mean.half_width:.2f}" if found.seeds > 1 and mean.half_width is not None else ""
    return f"{abs(mean.mean):.2f}{half}" + (" on average" if len(found.pairs) > 1 else "")


def _reach(found: Effect) -> str:
    """`3 pairings (-0.03 to +0.21)`: the smallest and the largest difference."""
    differences = found.by_setting.values()
    return f"{len(differences)} pairings ({signed(min(differences))} to {signed(max(differences))})"


def _doubt(found: Effect) -> str:
    """Explain why a weak difference does not count."""
    interval = found.estimate.interval if found.estimate else None
    if found.seeds < 2 or interval is None:
        return f"within the {MARGIN} that a change of seed alone can cause"
    return f"but its 95 % CI, {signed(interval[0])} to {signed(interval[1])}, includes zero"
