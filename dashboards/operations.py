"""MRR by photometric operation: how well the predictor follows each, beside all together and beside the floor."""

from collections.abc import Sequence
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING

from dashboards import canvas, panels
from dashboards.ablation import Cell, Table, tabulate
from dashboards.checks import FLOOR, MRR
from dashboards.roles import levels, shade
from orchestrator.lifecycle import State
from orchestrator.results import SweepResults
from orchestrator.sweep import Scalar

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OPERATIONS = ("brightness", "contrast", "saturation", "hue")
TOGETHER = "all together"
ROWS = {TOGETHER: MRR, **{name: f"{MRR}_{name}" for name in OPERATIONS}}
"""Row -> metric of the protocol `mrr`."""


def render_operations(results: SweepResults) -> bytes | None:
    """The picture as a PNG; None where no evaluation has measured MRR by operation."""
    table = tabulate(results)
    has_any = any(means(table.cells, metric) for name, metric in ROWS.items() if name != TOGETHER)
    return canvas.printed(partial(draw, table)) if has_any else None


def means(cells: Sequence[Cell], metric: str) -> list[float]:
    """Of each cell whose finished evaluations have the metric, the mean over seeds."""
    found = [
        [
            trial.status.metrics[metric]
            for trials in cell.evaluations.values()
            for trial in trials
            if trial.status.state is State.FINISHED
            and trial.config.get("evaluate.protocol") == MRR
            and metric in trial.status.metrics
        ]
        for cell in cells
    ]
    return [fmean(values) for values in found if values]


def draw(table: Table) -> "Figure":
    """A row for each operation, a dot for each cell, a mark for the mean of a hue."""
    hue = shade(table)
    shades = panels.colours(table, axis=hue) if hue else {None: panels.PALETTE[0]}
    names = [name for name, metric in ROWS.items() if means(table.cells, metric)]
    figure = canvas.sheet()
    axes = figure.add_axes((0.13, 0.14, 0.85, 0.63))
    panels.strip(axes, rule="x")
    _draw_rows(axes, table, names, hue=hue, shades=shades)
    floors = means(table.cells, FLOOR)
    if floors:
        floor = fmean(floors)
        axes.axvline(floor, color=panels.INK, linewidth=1, linestyle=(0, (4, 3)), zorder=2)
        place = {"xytext": (4, 0), "textcoords": "offset points", "va": "top"}
        axes.annotate(f"floor {floor:.3f}", (floor, 0.6), color=panels.INK, fontsize=panels.TEXT_PT - 1, **place)
    axes.set_yticks([-at for at in range(len(names))], names)
    axes.set_ylim(-len(names) + 0.4, 0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("MRR", color=panels.SOFT)
    said = "dots: cells, means over seeds; marks: means over cells; dashed: blind to the action"
    canvas.head(figure, "MRR by operation", said, hue=hue, shades=shades)
    return figure


def _draw_rows(axes: "Axes", table: Table, names: Sequence[str], *, hue: str | None, shades: dict[Scalar, str]) -> None:
    """The rows from above; within a row the hues, each a little lower."""
    for at, name in enumerate(names):
        for place, level in enumerate(levels(table, hue)):
            cells = [cell for cell in table.cells if hue is None or cell.levels.get(hue) == level]
            values = means(cells, ROWS[name])
            if not values:
                continue
            y, colour = -at - 0.6 * ((place + 0.5) / len(shades) - 0.5), shades[level]
            axes.plot(values, [y] * len(values), color=colour, zorder=3, **panels.DOT)
            axes.plot([fmean(values)], [y], color=colour, zorder=4, **panels.MARK)
