"""How the levels of a categorical axis rank in the headline metric, as sentences. Pure.

First what the best cell reaches and what the other levels reach in the same place; where no other level is in that
place, the axis that leads alone says so. Then each level against the next one in the order of their means, by the
verdict of dashboards/verdict.py.
"""

from collections.abc import Iterator
from itertools import pairwise
from statistics import fmean

from dashboards.ablation import Cell, Table
from dashboards.comparisons import compare, nothing_to_compare
from dashboards.verdict import Finding, Judged, Kind, Verdict
from dashboards.wording import axis_name, capital, level_name, listed, metric_name, place_name
from orchestrator.trial.sweep import Scalar


def ranking(table: Table, *, axis: str, metric: str, leads: bool = True) -> Iterator[Finding]:
    """The sentences of one categorical axis."""
    order = _order(table, axis=axis, metric=metric)
    text, compared = _at_best(table, axis=axis, metric=metric, order=order)
    if compared or leads:
        yield Finding(Kind.SUPPORTED, text)
    for better, worse in pairwise(order):
        judged = compare(table, axis=axis, metric=metric, base=worse, level=better)
        yield _ranked(judged, axis=axis) if judged else nothing_to_compare(axis, better, worse)


def _order(table: Table, *, axis: str, metric: str) -> list[Scalar]:
    """The levels by their mean over cells, best first."""
    means = {
        level: fmean(cell.mean(metric) or 0.0 for cell in table.cells if cell.levels.get(axis) == level)
        for level in table.levels(axis)
    }
    return sorted(means, key=lambda level: -means[level])


def _at_best(table: Table, *, axis: str, metric: str, order: list[Scalar]) -> tuple[str, bool]:
    """The sentence, and whether another level is in it."""
    best = max((cell for cell in table.cells if axis in cell.levels), key=lambda cell: cell.mean(metric) or 0.0)
    place = _place(best, without=axis)
    there = {
        cell.levels[axis]: cell for cell in table.cells if axis in cell.levels and _place(cell, without=axis) == place
    }
    others = [level for level in order if level in there and there[level] is not best]
    rest = listed(f"{level_name(level)} reaches {_value(there[level], metric)}" for level in others)
    text = f"{axis_name(axis)} {level_name(best.levels[axis])} reaches {metric_name(metric)} {_value(best, metric)}"
    text += f" ({place_name(place)})" if place else ""
    text += f"; in the same place {rest}" if rest else ""
    return capital(f"{text}."), bool(others)


def _place(cell: Cell, *, without: str) -> dict[str, Scalar]:
    return {axis: level for axis, level in cell.levels.items() if axis != without}


def _value(cell: Cell, metric: str) -> str:
    known = cell.estimate(metric)
    assert known, "only cells that have the metric are readable"
    interval = f" ± {known.half_width:.2f}" if known.half_width is not None else ""
    return f"{known.mean:.2f}{interval}"


def _ranked(judged: Judged, *, axis: str) -> Finding:
    name, which = metric_name(judged.effect.metric), "higher" if judged.mean.mean > 0 else "lower"
    better, worse = level_name(judged.effect.level), level_name(judged.effect.base)
    if judged.verdict is Verdict.CLEAR:
        said = f"gives the {which} {name} than {worse} {judged.everywhere()}, by {judged.size()}."
        return Finding(Kind.SUPPORTED, capital(f"{axis_name(axis)} {better} {said}"))
    if judged.verdict is Verdict.MIXED:
        said = f"higher in {judged.rises} and lower in {judged.falls} of {judged.settings} pairings ({judged.reach()})"
    else:
        said = f"{which} by {judged.size()}, {judged.doubt()}"
    text = f"{axis_name(axis)} {better} and {worse} are not told apart: {name} of {better} is {said}."
    return Finding(Kind.UNSUPPORTED, capital(text))
