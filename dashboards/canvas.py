"""Figures as bytes: equal results give equal bytes of one matplotlib version.

Its own fonts, its default settings, no date inside. Figures are built without pyplot, so they share no state with
anybody.
"""

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dashboards.panels import INK, SOFT, TEXT_PT
from dashboards.wording import axis_name, level_name, plain
from orchestrator.errors import RequestError
from orchestrator.trial.sweep import Scalar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH_IN, HEIGHT_IN, DPI = 8.0, 4.0, 150
LEFT_IN, TOP = 0.1, 0.955
"""Of a title: from the left edge, and as a share of the height."""
NO_SHADES: Mapping[Scalar, str] = {}
GAP_PX = 20
PICTURES: dict[str, dict[str, Any]] = {
    "png": {"metadata": {"Software": None}},
    "svg": {"metadata": {"Date": None, "Creator": None}},
}


def check_format(format: str) -> None:
    """Refuses what is no format of pictures.

    Raises:
        RequestError: see above.
    """
    if format not in PICTURES:
        raise RequestError.unknown("picture format", format, choices=PICTURES, shown=plain(format))


def printed(draw: Callable[[], "Figure"], *, format: str = "png") -> bytes:
    """The figure that `draw` makes, under matplotlib's default settings."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"svg.hashsalt": "iwm", "text.parse_math": False, "font.size": TEXT_PT})
        page = io.BytesIO()
        draw().savefig(page, format=format, **PICTURES[format])
    return page.getvalue()


def sheet(*, width_in: float = WIDTH_IN) -> "Figure":
    """An empty figure."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, HEIGHT_IN), dpi=DPI, facecolor="white")


def head(
    figure: "Figure", title: str, said: str, *, hue: str | None = None, shades: Mapping[Scalar, str] = NO_SHADES
) -> None:
    """Title and remark on the left; on the right the hue's levels, each in its colour."""
    left = LEFT_IN / figure.get_figwidth()
    figure.text(left, TOP, title, fontsize=12, fontweight="bold", color=INK, va="top")
    figure.text(left, TOP - 0.07, said, color=SOFT, va="top")
    right = 1.0 - left
    for level, colour in reversed(list(shades.items())) if hue else ():
        first = f"{axis_name(hue)} " if hue and level == next(iter(shades)) else ""
        text = figure.text(right, TOP, first + level_name(level), color=colour, va="top", ha="right")
        right -= (text.get_window_extent().width + GAP_PX) / figure.bbox.width
