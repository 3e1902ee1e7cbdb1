"""The figure of a sweep: the headline metric of each cell and its floor, the probes and their references.

Few lines, direct labels, seeds as dots, means as marks.
"""

from collections.abc import Sequence
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING

from dashboards.cells import FLOOR, MRR, PIXELS, PROBES, Cell, Table, is_numeric, tabulate
from dashboards.figures import canvas
from dashboards.figures.canvas import (
    DASHED,
    DOT,
    INK,
    MARK,
    PALETTE,
    SOFT,
    TEXT_PT,
    TITLE,
    Roles,
    assign,
    cells_at,
    colours,
    levels,
    strip,
)
from dashboards.wording import axis_name, level_name, metric_name
from orchestrator.trial.results import SweepResults
from orchestrator.trial.sweep import Scalar

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MORE_IN = 1.5
"""Width of each panel beyond the second."""
BEHIND = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
DODGE, SIDEWAYS = 0.06, 0.07
"""Steps along x between hues, and from a mean to its seeds, in distances between levels."""
GROUPS = {"linear_probe_top1": "pooled", "linear_probe_tokens_top1": "all tokens"}


def render_figure(results: SweepResults) -> bytes | None:
    """The figure as a PNG of 1200 x 600 pixels, wider for more than two panels.

    None where no finished trial has a headline metric.
    """
    table = tabulate(results)
    return None if table.headline is None else canvas.printed(partial(draw, table))


def draw(table: Table) -> "Figure":
    """The figure of a table that has a headline metric, under the current settings of matplotlib."""
    roles, metric = assign(table), table.headline
    assert metric, "checked by render_figure"
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
        draw_metric(axes, table, roles=roles, metric=metric, panel=level)
        axes.tick_params(labelleft=at == 0)
    if probes:
        draw_probes(figure.add_subplot(grid[0, -1]), table, roles=roles, probes=probes)
    by = f" by {axis_name(roles.x)}" if roles.x else ""
    seeds = "one seed per cell, so no intervals"
    if table.finished_seeds > 1:
        seeds = f"dots: {table.finished_seeds} seeds, marks: means, bars: 95 % intervals"
    remark = f"dashed: MRR of a predictor blind to the action; {seeds}" if metric == MRR else seeds
    canvas.head(figure, f"{metric_name(metric)}{by}", remark, shades={})
    return figure


def draw_metric(axes: "Axes", table: Table, *, roles: Roles, metric: str, panel: Scalar) -> None:
    """One panel: the metric along x, a line per hue, seeds as dots, means as marks, the floor dashed."""
    strip(axes, rule="y")
    ticks, shades = levels(table, roles.x), colours(table, axis=roles.hue)
    last = len(ticks) - 1
    axes.set_xlim(-0.3 - 0.05 * last, last + ((0.45 + 0.75 * max(last, 0.6)) if roles.hue else 0.3))
    axes.set_ylim(0, 1.06 * max(_top(table, metric=metric), 0.05))
    axes.locator_params(axis="y", nbins=5)
    axes.set_xticks(range(len(ticks)), [level_name(level) if roles.x else "" for level in ticks])
    axes.set_xlabel(axis_name(roles.x) if roles.x else "", color=SOFT)
    axes.set_title(f"{axis_name(roles.panel)} {level_name(panel)}" if roles.panel else "", loc="left", **TITLE)
    if metric == MRR and (floors := table.means(FLOOR)):
        left, floor = axes.get_xlim()[0], fmean(floors)
        axes.plot([left, last + 0.08], [floor, floor], color=INK, linewidth=1, linestyle=DASHED, zorder=2)
        place = {"xytext": (0, 4), "textcoords": "offset points", "va": "bottom"}
        axes.annotate(f"floor {floor:.3f}", (left, floor), color=INK, fontsize=TEXT_PT - 1, **place)
    ends = {}
    for at, (hue, colour) in enumerate(shades.items()):
        places = [cells_at(table, {roles.x: x, roles.hue: hue, roles.panel: panel}) for x in ticks]
        shift = DODGE * (at - (len(shades) - 1) / 2) if table.finished_seeds > 1 else 0.0
        end = _draw_line(axes, places, metric=metric, colour=colour, joined=is_numeric(ticks), shift=shift)
        if end is not None:
            ends[hue] = end
    if roles.hue:
        _label_ends(
            axes, ends, colours=shades, x=last + 0.12 + (DODGE * len(shades) / 2 if table.finished_seeds > 1 else 0.0)
        )


def _draw_line(
    axes: "Axes", places: Sequence[Sequence[Cell]], *, metric: str, colour: str, joined: bool, shift: float
) -> float | None:
    """Draw the marks of one hue, moved sideways by `shift`; return the height of the last one."""
    marks = []
    for at, cells in enumerate(places):
        means = [mean for cell in cells if (mean := cell.mean(metric)) is not None]
        if not means:
            continue
        x = at + shift
        dots = [value for cell in cells for value in cell.values(metric).values()]
        if len(dots) > 1:
            axes.plot([x - SIDEWAYS] * len(dots), dots, color=colour, zorder=3, **DOT)
        if len(cells) == 1 and (known := cells[0].estimate(metric)) and known.half_width is not None:
            axes.errorbar(x, known.mean, yerr=known.half_width, color=colour, elinewidth=1.4, capsize=0, zorder=3)
        marks.append((x, fmean(means)))
    if not marks:
        return None
    axes.plot(*zip(*marks, strict=True), color=colour, linestyle="-" if joined else "none", zorder=4, **MARK)
    return marks[-1][1]


def _label_ends(axes: "Axes", ends: dict[Scalar, float], *, colours: dict[Scalar, str], x: float) -> None:
    """The hue's level and last value at the end of its line, moved apart where two would touch."""
    room, lowest = 0.065 * axes.get_ylim()[1], 0.0
    for hue, height in sorted(ends.items(), key=lambda item: item[1]):
        lowest = max(height, lowest)
        axes.text(x, lowest, f"{level_name(hue)} {height:.2f}", color=colours[hue], va="center", bbox=BEHIND)
        lowest += room


def draw_probes(axes: "Axes", table: Table, *, roles: Roles, probes: Sequence[str]) -> None:
    """Accuracy of the linear probes: a row per hue, a dot per cell, the random encoder and pixels as lines."""
    strip(axes, rule="x")
    rows = roles.hue or roles.x
    shades = colours(table, axis=roles.hue) if roles.hue else dict.fromkeys(levels(table, rows), PALETTE[0])
    names: dict[float, tuple[str, str]] = {}
    for group, probe in enumerate(probes):
        top = -group * (len(shades) + 2.6)
        bottom = top - len(shades) + 1
        names[top + 1] = (GROUPS[probe], INK)
        for row, (level, colour) in enumerate(shades.items()):
            names[top - row] = (level_name(level) if rows else "encoder", colour)
            means = [mean for cell in cells_at(table, {rows: level}) if (mean := cell.mean(probe)) is not None]
            canvas.dots(axes, means, y=top - row, colour=colour)
        for metric, name, above in ((PIXELS, "pixels", True), (PROBES[probe], "random encoder", False)):
            _draw_reference(axes, table, metric=metric, name=name, span=(top + 0.5, bottom - 0.5), above=above)
    axes.set_yticks(list(names), [name for name, _ in names.values()])
    for label, (_, colour) in zip(axes.get_yticklabels(), names.values(), strict=True):
        label.set_color(colour)
    axes.set_xlim(0, 1)
    axes.set_ylim(min(names) - 1.5, max(names) + 0.6)
    axes.set_xlabel("top-1 accuracy", color=SOFT)
    axes.set_title("linear probe", loc="left", **TITLE)


def _draw_reference(
    axes: "Axes", table: Table, *, metric: str, name: str, span: tuple[float, float], above: bool
) -> None:
    """A line across a group with its name and value above it (dotted) or below (solid)."""
    if values := table.means(metric):
        x = fmean(values)
        axes.plot([x, x], span, color=INK, linewidth=1.2, linestyle=(0, (1.5, 1.5)) if above else "solid", zorder=2)
        y, va = (span[0] + 0.1, "bottom") if above else (span[1] - 0.1, "top")
        inside = min(max(x, 0.24), 0.76)
        axes.text(inside, y, f"{name} {x:.2f}", color=INK, fontsize=TEXT_PT - 1, va=va, ha="center", bbox=BEHIND)


def _top(table: Table, *, metric: str) -> float:
    """The highest value that any panel shows."""
    dots = [value for cell in table.cells for value in cell.values(metric).values()]
    bars = [known.interval[1] for cell in table.cells if (known := cell.estimate(metric)) and known.interval]
    return max([*dots, *bars], default=0.0)
