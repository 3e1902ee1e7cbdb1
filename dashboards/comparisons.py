"""Which trials may be compared in which metric, as sentences where none may. Pure.

Judged is MRR where it was measured, else the linear probe. Of MRR, only pairs of which one side has left the floor
count: between two cells at the floor there is nothing to compare. Cells blind to the action or collapsed do not count.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from statistics import fmean

from dashboards.ablation import Cell, Table, is_numeric
from dashboards.checks import FLOOR, FLOOR_TOLERANCE, MRR, above_floor, is_blind, is_collapsed
from dashboards.effects import main_effect
from dashboards.verdict import Finding, Judged, Kind, judge
from dashboards.wording import axis_name, level_name, metric_name
from orchestrator.trial.sweep import Scalar

HEADLINES = (MRR, "linear_probe_top1")


def headline(table: Table) -> str | None:
    """The metric that the sweep is judged by; None where no finished trial has one."""
    return next((metric for metric in HEADLINES if metric in table.metrics), None)


def readable(table: Table, *, metric: str) -> Table:
    """The table of the cells whose value of the metric means something."""
    return table.where(lambda cell: _is_readable(cell, metric=metric))


def _is_readable(cell: Cell, *, metric: str) -> bool:
    mean = cell.mean(metric)
    if mean is None or not math.isfinite(mean):
        return False
    return metric != MRR or not (is_blind(cell) or is_collapsed(cell))


def obstacle(table: Table, *, metric: str | None) -> Finding | None:
    """Why no axis of a readable table can be judged; None where one can."""
    if metric is None:
        wanted = " nor ".join(metric_name(item) for item in HEADLINES)
        return Finding(Kind.UNSUPPORTED, f"No finished trial has measured {wanted}, so the axes cannot be compared.")
    if metric == MRR and table.cells and not any(above_floor(cell) for cell in table.cells):
        return _too_small(table)
    return None


def _too_small(table: Table) -> Finding:
    best = max(table.cells, key=lambda cell: cell.mean(MRR) or 0.0)
    steps = max(int(trial.config.get("train.steps", 0)) for cell in table.cells for trial in cell.trials)
    text = (
        f"MRR stays at its floor everywhere (best {best.mean(MRR) or 0.0:.3f} against {best.mean(FLOOR) or 0.0:.3f}): "
        f"{steps} steps are too small a budget to show anything about the axes."
    )
    return Finding(Kind.UNSUPPORTED, text)


def compare(table: Table, *, axis: str, metric: str, base: Scalar, level: Scalar) -> Judged | None:
    """Judges `level` against `base`, on the pairs that can be read; None where there are none."""
    effect = main_effect(table, axis=axis, metric=metric, base=base, level=level)
    if metric == MRR:
        floors = [floor for cell in table.cells if (floor := cell.mean(FLOOR)) is not None]
        bottom = fmean(floors) + FLOOR_TOLERANCE if floors else -math.inf
        effect = replace(effect, pairs=tuple(pair for pair in effect.pairs if max(pair.base, pair.value) > bottom))
    return judge(effect)


def nothing_to_compare(axis: str, *levels: Scalar) -> Finding:
    """The sentence of an axis, or of two of its levels, without pairs.

    It moves with another axis, or its partners have not finished.
    """
    which = f"{axis_name(axis)} {' against '.join(map(level_name, levels))}".strip()
    text = f"Nothing can be said of {which}: no two finished trials above the floor differ in it alone."
    return Finding(Kind.UNSUPPORTED, text)


def parts(table: Table, *, axis: str) -> Iterator[tuple[str, Scalar]]:
    """The levels of the first categorical axis other than `axis`."""
    for other in table.varying:
        if other != axis and not is_numeric(table.levels(other)):
            yield from ((other, level) for level in table.levels(other))
            return
