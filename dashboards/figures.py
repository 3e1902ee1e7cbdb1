"""The picture of a sweep: the headline metric of every cell beside its floor, the probes beside their references."""

from functools import partial
from typing import TYPE_CHECKING

from dashboards import canvas, panels
from dashboards.ablation import Table, tabulate
from dashboards.checks import MRR, PROBES
from dashboards.comparisons import headline
from dashboards.roles import assign, levels
from dashboards.wording import axis_name, metric_name
from orchestrator.trial.results import SweepResults

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MORE_IN = 1.5
"""Width of each panel beyond the second."""

ONE_SEED = "one seed per cell, so no intervals"


def render_figure(results: SweepResults, *, format: str = "png") -> bytes | None:
    """The figure as `png` (1200 x 600 pixels, wider for more than two panels) or `svg`.

    None where no finished trial has a headline metric.

    Raises:
        RequestError: another format.
    """
    canvas.check_format(format)
    table = tabulate(results)
    return None if headline(table) is None else canvas.printed(partial(draw, table), format=format)


def draw(table: Table) -> "Figure":
    """The figure of a table that has a headline metric, under the process' own settings."""
    roles, metric = assign(table), headline(table)
    assert metric, "render_figure looked"
    shown = len(levels(table, roles.panel))
    probes = [probe for probe in PROBES if probe in table.metrics and probe != metric]
    width_in = canvas.WIDTH_IN + MORE_IN * max(0, shown - 2)
    figure = canvas.sheet(width_in=width_in)
    widths = [*[1.0] * shown, *([0.3, min(0.4 * shown + 0.45, 1.25)] if probes else [])]
    margins = {"left": 0.4 / width_in, "right": 0.98, "top": 0.77, "bottom": 0.14, "wspace": 0.08}
    grid = figure.add_gridspec(1, len(widths), width_ratios=widths, **margins)
    first = None
    for at, level in enumerate(levels(table, roles.panel)):
        axes = first = figure.add_subplot(grid[0, at], sharey=first) if first else figure.add_subplot(grid[0, at])
        panels.draw_metric(axes, table, roles=roles, metric=metric, panel=level)
        axes.tick_params(labelleft=at == 0)
    if probes:
        panels.draw_probes(figure.add_subplot(grid[0, -1]), table, roles=roles, probes=probes)
    by = f" by {axis_name(roles.x)}" if roles.x else ""
    canvas.head(figure, f"{metric_name(metric)}{by}", _legend(table, metric=metric))
    return figure


def _legend(table: Table, *, metric: str) -> str:
    several = table.finished_seeds > 1
    seeds = f"dots: {table.finished_seeds} seeds, marks: means, bars: 95 % intervals" if several else ONE_SEED
    return f"dashed: what a predictor blind to the action reaches; {seeds}" if metric == MRR else seeds
