"""Shared by all figures: which axis of a sweep takes which part, colours, styles, and figures as bytes.

    x       the first numeric axis, else the first axis
    hue     the first categorical axis that is left, else the first numeric one
    panel   the next one that is left, if it has few levels

Cells that differ only in further axes are single dots under the same mark.

Colours are Okabe and Ito's (2008), darkened where they would be faint on white; cells blind to the action and every
reference (floor, random encoder, pixels) are grey. Of one matplotlib version, equal results give equal bytes: default
settings, matplotlib's own fonts, no date inside. Figures are built without pyplot, so they share no state with the
process.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from dashboards.cells import Cell, Table, is_numeric
from dashboards.wording import axis_name, level_name
from orchestrator.trial.sweep import Scalar

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_HUES, MOST_PANELS = 7, 4

INK, SOFT, FAINT = "#1b1f24", "#667079", "#e4e8ec"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#b85c93", "#b8860b", "#3a9bd0", "#5a4fa2")
TEXT_PT = 8.5
TITLE: dict[str, Any] = {"fontsize": TEXT_PT, "color": INK, "pad": 8}
MARK: dict[str, Any] = {"marker": "o", "markersize": 6.5, "markeredgecolor": "white", "linewidth": 1.7}
DOT: dict[str, Any] = {"marker": "o", "markersize": 3.4, "markeredgewidth": 0, "linestyle": "none", "alpha": 0.5}
DASHED = (0, (4, 3))

WIDTH_IN, HEIGHT_IN, DPI = 8.0, 4.0, 150
LEFT_IN, TOP = 0.1, 0.955
"""Position of a title: inches from the left edge, and a share of the height."""
GAP_PX = 20


@dataclass(frozen=True)
class Roles:
    """The axes of the figure; None where the sweep has no axis left for the part."""

    x: str | None
    hue: str | None
    panel: str | None


def assign(table: Table) -> Roles:
    """The parts of a sweep's axes."""
    axes = list(table.varying)
    numbers = [axis for axis in axes if is_numeric(table.levels(axis))]
    x = next(iter(numbers or axes), None)
    left = sorted((axis for axis in axes if axis != x), key=lambda axis: axis in numbers)
    hue = next((axis for axis in left if len(table.levels(axis)) <= MOST_HUES), None)
    panel = next((axis for axis in left if axis != hue and len(table.levels(axis)) <= MOST_PANELS), None)
    return Roles(x, hue, panel)


def hue_alone(table: Table) -> str | None:
    """The axis shown by colour in a figure whose x is no axis of the sweep; None where no axis has few levels."""
    roles = assign(table)
    known = (axis for axis in (roles.hue, roles.x) if axis and len(table.levels(axis)) <= MOST_HUES)
    return next(known, None)


def levels(table: Table, axis: str | None) -> tuple[Scalar, ...]:
    """The levels of a part, numbers by size; one nameless level where no axis takes the part."""
    return (None,) if axis is None else table.ordered(axis)


def cells_at(table: Table, place: Mapping[str | None, Scalar]) -> tuple[Cell, ...]:
    """The cells at a place; parts that no axis takes are ignored."""
    fixed = {axis: level for axis, level in place.items() if axis is not None}
    return tuple(cell for cell in table.cells if all(cell.levels.get(axis) == fixed[axis] for axis in fixed))


def colours(table: Table, *, axis: str | None) -> dict[Scalar, str]:
    """A colour for each level of the hue; grey for levels that are blind to the action."""
    found, bright = {}, iter(PALETTE)
    for level in levels(table, axis):
        cells = cells_at(table, {axis: level})
        found[level] = SOFT if cells and all(cell.is_blind for cell in cells) else next(bright)
    return found


def printed(draw: Callable[[], "Figure"]) -> bytes:
    """The figure that `draw` makes, as a PNG, under matplotlib's default settings."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"text.parse_math": False, "font.size": TEXT_PT})
        page = io.BytesIO()
        draw().savefig(page, format="png", metadata={"Software": None})
    return page.getvalue()


def sheet(*, width_in: float = WIDTH_IN) -> "Figure":
    """An empty figure."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, HEIGHT_IN), dpi=DPI, facecolor="white")


def strip(axes: "Axes", *, rule: str) -> None:
    """Remove frame and ticks; draw faint grid lines along one axis, `x` or `y`."""
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.tick_params(length=0, colors=SOFT)
    axes.grid(axis="y" if rule == "y" else "x", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.patch.set_visible(False)


def dots(axes: "Axes", values: Sequence[float], *, y: float, colour: str) -> None:
    """A row of dots with a mark at their mean."""
    if values:
        axes.plot(values, [y] * len(values), color=colour, zorder=3, **DOT)
        axes.plot([fmean(values)], [y], color=colour, zorder=4, **MARK)


def head(figure: "Figure", title: str, remark: str, *, shades: Mapping[Scalar, str], hue: str | None = None) -> None:
    """Title and remark on the left; on the right the hue's levels, each in its colour."""
    left = LEFT_IN / figure.get_figwidth()
    figure.text(left, TOP, title, fontsize=12, fontweight="bold", color=INK, va="top")
    figure.text(left, TOP - 0.07, remark, color=SOFT, va="top")
    right = 1.0 - left
    for level in reversed(list(shades) if hue else []):
        first = f"{axis_name(hue)} " if hue and level == next(iter(shades)) else ""
        text = figure.text(right, TOP, first + level_name(level), color=shades[level], va="top", ha="right")
        right -= (text.get_window_extent().width + GAP_PX) / figure.bbox.width
