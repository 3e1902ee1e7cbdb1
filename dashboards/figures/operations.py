"""MRR by photometric operation: how well the predictor follows each alone, all together, and the floor."""

from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING

from dashboards.cells import FLOOR, MRR, PATCHWISE, Cell, Table, protocol_of, tabulate
from dashboards.figures import canvas
from orchestrator.trial.lifecycle import State
from orchestrator.trial.results import SweepResults
from orchestrator.trial.sweep import Scalar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PREFIX = f"{MRR}_"
OTHERS = frozenset({FLOOR, PATCHWISE})
"""Metrics of the protocol with the same prefix that belong to no operation."""
TOGETHER = "all together"

Means = Sequence[tuple[Cell, Mapping[str, float]]]
"""Cells, and by metric the mean over seeds."""


def render_operations(results: SweepResults) -> bytes | None:
    """The picture as a PNG; None where no evaluation has measured MRR by operation."""
    table = tabulate(results)
    found = [(cell, measured(cell)) for cell in table.cells]
    return canvas.printed(partial(draw, table, found)) if operations(found) else None


def measured(cell: Cell) -> dict[str, float]:
    """Means of the cell's finished evaluations by the MRR protocol, under the first label that has any."""
    for trials in cell.evaluations.values():
        done = [trial.status.metrics for trial in trials if trial.status.state is State.FINISHED]
        if done and protocol_of(trials[0]) == MRR:
            return {key: fmean(metrics[key] for metrics in done if key in metrics) for key in set().union(*done)}
    return {}


def operations(found: Means) -> list[str]:
    """The metrics of single operations, sorted."""
    keys = {key for _, means in found for key in means}
    return sorted(key for key in keys if key.startswith(PREFIX) and key not in OTHERS)


def draw(table: Table, found: Means) -> "Figure":
    """A row for each operation, a dot for each cell, a mark for the mean of a hue."""
    hue = canvas.hue_alone(table)
    shades: dict[Scalar, str] = canvas.colours(table, axis=hue) if hue else {None: canvas.PALETTE[0]}
    rows = {TOGETHER: MRR, **{key.removeprefix(PREFIX): key for key in operations(found)}}
    figure = canvas.sheet()
    axes = figure.add_axes((0.13, 0.14, 0.85, 0.63))
    canvas.strip(axes, rule="x")
    for at, metric in enumerate(rows.values()):
        for place, (level, colour) in enumerate(shades.items()):
            alike = (means for cell, means in found if hue is None or cell.levels.get(hue) == level)
            values = [means[metric] for means in alike if metric in means]
            canvas.dots(axes, values, y=-at - 0.6 * ((place + 0.5) / len(shades) - 0.5), colour=colour)
    floors = [means[FLOOR] for _, means in found if FLOOR in means]
    if floors:
        floor = fmean(floors)
        axes.axvline(floor, color=canvas.INK, linewidth=1, linestyle=canvas.DASHED, zorder=2)
        place = {"xytext": (4, 0), "textcoords": "offset points", "va": "top"}
        axes.annotate(f"floor {floor:.3f}", (floor, 0.6), color=canvas.INK, fontsize=canvas.TEXT_PT - 1, **place)
    axes.set_yticks([-at for at in range(len(rows))], list(rows))
    axes.set_ylim(-len(rows) + 0.4, 0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("MRR", color=canvas.SOFT)
    remark = "dots: cells, means over seeds; marks: means over cells; dashed: blind to the action"
    canvas.head(figure, "MRR by operation", remark, hue=hue, shades=shades)
    return figure
