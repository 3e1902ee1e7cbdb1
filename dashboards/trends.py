"""What a numeric axis does to the headline metric, as sentences. Pure.

The highest level against the lowest: a trend, where the verdict (dashboards/verdict.py) is clear. Where it is not, each
level of the first categorical axis is looked at alone; with one seed such a part must show a difference of at least
MARGIN at every one of several settings, since looking at parts finds more by chance.
"""

from collections.abc import Iterator
from itertools import pairwise
from statistics import fmean

from dashboards.ablation import Table
from dashboards.comparisons import compare, nothing_to_compare, parts
from dashboards.verdict import MARGIN, Finding, Judged, Kind, Verdict
from dashboards.wording import axis_name, capital, level_name, metric_name, more_of
from orchestrator.trial.sweep import Scalar


def trend(table: Table, *, axis: str, metric: str) -> Iterator[Finding]:
    """The sentences of one numeric axis with at least two levels."""
    low, *_, high = _sorted_levels(table, axis=axis)
    judged = compare(table, axis=axis, metric=metric, base=low, level=high)
    if judged is None:
        yield nothing_to_compare(axis)
    elif judged.verdict is Verdict.CLEAR:
        yield _clear(table, judged)
    else:
        yield _not_clear(judged)
        yield from _within_parts(table, axis=axis, metric=metric)


def _sorted_levels(table: Table, *, axis: str) -> list[Scalar]:
    return sorted(table.levels(axis), key=lambda level: float(level or 0))


def _within_parts(table: Table, *, axis: str, metric: str) -> Iterator[Finding]:
    low, *_, high = _sorted_levels(table, axis=axis)
    for other, part in parts(table, axis=axis):
        inside = table.where(lambda cell, other=other, part=part: cell.levels.get(other) == part)
        judged = compare(inside, axis=axis, metric=metric, base=low, level=high)
        if judged and _stands_alone(judged):
            yield _clear(inside, judged, within=f"within {axis_name(other)} {level_name(part)}: ")


def _stands_alone(judged: Judged) -> bool:
    smallest = min(abs(difference) for difference in judged.effect.by_place.values())
    return judged.verdict is Verdict.CLEAR and (judged.seeds > 1 or (judged.settings > 1 and smallest >= MARGIN))


def _clear(table: Table, judged: Judged, *, within: str = "") -> Finding:
    effect = judged.effect
    which = "higher" if judged.mean.mean > 0 else "lower"
    text = (
        f"{within}{more_of(effect.axis)} gives the {which} {metric_name(effect.metric)} {judged.everywhere()}: "
        f"from {axis_name(effect.axis)} {level_name(effect.base)} to {level_name(effect.level)} by {judged.size()}"
        f"{_by_part(table, judged)}{_detour(table, judged)}."
    )
    return Finding(Kind.SUPPORTED, capital(text))


def _not_clear(judged: Judged) -> Finding:
    effect, name = judged.effect, metric_name(judged.effect.metric)
    step = f"from {level_name(effect.base)} to {level_name(effect.level)} {name}"
    if judged.verdict is Verdict.MIXED:
        said = f"rises in {judged.rises} and falls in {judged.falls} of {judged.settings} pairings ({judged.reach()})"
    else:
        said = f"{'rises' if judged.mean.mean > 0 else 'falls'} by {judged.size()}, {judged.doubt()}"
    return Finding(Kind.UNSUPPORTED, capital(f"{axis_name(effect.axis)} shows no robust trend: {step} {said}."))


def _by_part(table: Table, judged: Judged) -> str:
    """` (feature 0.21 to 0.41, sequence 0.15 to 0.29)`: the means of the pairs, by the first categorical axis."""
    said = []
    for axis, level in parts(table, axis=judged.effect.axis):
        pairs = [pair for pair in judged.effect.pairs if (axis, level) in pair.place]
        if pairs:
            before, after = fmean(pair.base for pair in pairs), fmean(pair.value for pair in pairs)
            said.append(f"{level_name(level)} {before:.2f} to {after:.2f}")
    return f" ({', '.join(said)})" if said else ""


def _detour(table: Table, judged: Judged) -> str:
    """Says where a step between neighbouring levels goes the other way."""
    effect = judged.effect
    levels = _sorted_levels(table, axis=effect.axis)
    for low, high in pairwise(levels):
        step = compare(table, axis=effect.axis, metric=effect.metric, base=low, level=high)
        if step and step.mean.mean * judged.mean.mean < 0:
            return f", though not from {level_name(low)} to {level_name(high)}"
    return ""
