"""The picture of a sweep: the headline metric of every cell beside its floor, and the probes beside their references.

Equal results give equal bytes of one matplotlib version: its own fonts, its default settings, no date inside. The
figure is built without pyplot, so it shares no state with anybody.
"""

import io
from typing import TYPE_CHECKING, Any

from dashboards import panels
from dashboards.ablation import Table, tabulate
from dashboards.checks import MRR
from dashboards.comparisons import headline
from dashboards.probes import PROBES
from dashboards.roles import assign, levels
from dashboards.wording import axis_name, metric_name, plain
from orchestrator.errors import RequestError
from orchestrator.results import SweepResults

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH_IN, HEIGHT_IN, DPI = 8.0, 4.0, 150
MORE_IN = 1.5
"""Width of each panel beyond the second."""

ONE_SEED = "one seed per cell, so no intervals"
PICTURES: dict[str, dict[str, Any]] = {
    "png": {"metadata": {"Software": None}},
    "svg": {"metadata": {"Date": None, "Creator": None}},
}


def render_figure(results: SweepResults, *, format: str = "png") -> bytes | None:
    """The figure as `png` (1200 x 600 pixels, wider for more than two panels) or `svg`.

    None where no finished trial has a headline metric.

    Raises:
        RequestError: another format.
    """
    if format not in PICTURES:
        raise RequestError(f"unknown picture format '{plain(format)}'; choose from {', '.join(PICTURES)}")
    table = tabulate(results)
    if headline(table) is None:
        return None
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"svg.hashsalt": "iwm", "text.parse_math": False, "font.size": panels.TEXT_PT})
        page = io.BytesIO()
        draw(table).savefig(page, format=format, **PICTURES[format])
    return page.getvalue()


def draw(table: Table) -> "Figure":
    """The figure of a table that has a headline metric, under the process' own settings."""
    from matplotlib.figure import Figure

    roles, metric = assign(table), headline(table)
    assert metric, "render_figure looked"
    shown = len(levels(table, roles.panel))
    probes = [probe for probe in PROBES if probe in table.metrics and probe != metric]
    width_in = WIDTH_IN + MORE_IN * max(0, shown - 2)
    figure = Figure(figsize=(width_in, HEIGHT_IN), dpi=DPI, facecolor="white")
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
    left = 0.1 / width_in
    figure.text(left, 0.955, f"{metric_name(metric)}{by}", fontsize=12, fontweight="bold", color=panels.INK, va="top")
    figure.text(left, 0.885, _legend(table, metric=metric), color=panels.SOFT, va="top")
    return figure


def _legend(table: Table, *, metric: str) -> str:
    several = table.finished_seeds > 1
    seeds = f"dots: {table.finished_seeds} seeds, marks: means, bars: 95 % intervals" if several else ONE_SEED
    return f"dashed: what a predictor blind to the action reaches; {seeds}" if metric == MRR else seeds
