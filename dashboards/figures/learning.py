"""The learning curves of a sweep's trials, a panel for each of a few metrics, coloured like the sweep's figure."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from dashboards.cells import Table, tabulate
from dashboards.figures import canvas
from dashboards.wording import counted, metric_name
from orchestrator.trial.lifecycle import Point
from orchestrator.trial.results import SweepResults, TrialResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRICS = ("loss", "online_mrr", "target_std", "effective_rank")
"""The metrics that are drawn where they were logged, at most `PANELS` of them."""
PANELS = 3
TRIALS_MAX = 120
"""Of more trials this many are drawn, spread over the sweep."""

Points = Callable[[str], Sequence[Point]]
"""A trial's points by its id, each (metric, step) once."""


def render_learning(results: SweepResults, points: Points) -> bytes | None:
    """The curves as a PNG; None where no trial has logged two steps of any of these metrics."""
    table = tabulate(results)
    read = ((trial, _curves(points(trial.id))) for trial in chosen(table))
    lines = [(trial, curves) for trial, curves in read if curves]
    known = [name for name in METRICS if any(name in curves for _, curves in lines)][:PANELS]
    return canvas.printed(partial(draw, table, lines, known)) if known else None


def chosen(table: Table) -> list[TrialResult]:
    """The pretraining trials that are drawn."""
    begun = [trial for cell in table.cells for trial in cell.trials if trial.status.step]
    stride = max(1, math.ceil(len(begun) / TRIALS_MAX))
    return begun[::stride]


Curves = dict[str, list[tuple[int, float]]]


def _curves(points: Sequence[Point]) -> Curves:
    found: Curves = {}
    for point in points:
        if point.key in METRICS and math.isfinite(point.value):
            found.setdefault(point.key, []).append((point.step, point.value))
    return {name: sorted(curve) for name, curve in found.items() if len(curve) > 1}


def draw(table: Table, lines: Sequence[tuple[TrialResult, Curves]], known: Sequence[str]) -> "Figure":
    """A panel for each of the known metrics."""
    hue = canvas.hue_alone(table)
    shades = canvas.colours(table, axis=hue)
    figure = canvas.sheet()
    margins = {"left": 0.06, "right": 0.98, "top": 0.77, "bottom": 0.14, "wspace": 0.22}
    grid = figure.add_gridspec(1, len(known), **margins)
    opacity = max(0.25, min(0.9, 12 / max(1, len(lines))))
    for at, name in enumerate(known):
        axes = figure.add_subplot(grid[0, at])
        canvas.strip(axes, rule="y")
        axes.set_title(metric_name(name), loc="left", **canvas.TITLE)
        axes.set_xlabel("step", color=canvas.SOFT)
        axes.locator_params(nbins=5)
        for trial, curves in lines:
            if curve := curves.get(name):
                colour = shades.get(trial.overrides.get(hue) if hue else None, canvas.SOFT)
                axes.plot(*zip(*curve, strict=True), color=colour, linewidth=1.1, alpha=opacity)
    whole = sum(trial.status.step > 0 for cell in table.cells for trial in cell.trials)
    remark = counted(len(lines), "trial") + (f" of {whole}, spread over the sweep" if whole > len(lines) else "")
    canvas.head(figure, "Learning curves", remark, hue=hue, shades=shades)
    return figure
