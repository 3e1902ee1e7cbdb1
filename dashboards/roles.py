"""Which axis of a sweep takes which part in the figure. Pure.

    x       the first axis of numbers, else the first axis
    hue     the first axis of words that is left, else of numbers
    panel   the next one that is left, if it has few levels

Further axes are not told apart: their cells are single dots under the same mark.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dashboards.ablation import Cell, Table, is_numeric
from orchestrator.trial.sweep import Scalar

MOST_HUES = 7
MOST_PANELS = 4


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


def shade(table: Table) -> str | None:
    """The axis that is told apart by colour where none takes x; None where no axis has few levels."""
    roles = assign(table)
    known = (axis for axis in (roles.hue, roles.x) if axis and len(table.levels(axis)) <= MOST_HUES)
    return next(known, None)


def levels(table: Table, axis: str | None) -> tuple[Scalar, ...]:
    """The levels of a part, numbers by size; one nameless level where no axis takes the part."""
    if axis is None:
        return (None,)
    known = table.levels(axis)
    return tuple(sorted(known, key=lambda level: float(level or 0))) if is_numeric(known) else known


def cells_at(table: Table, place: Mapping[str | None, Scalar]) -> tuple[Cell, ...]:
    """The cells at a place; parts that no axis takes are ignored."""
    fixed = {axis: level for axis, level in place.items() if axis is not None}
    return tuple(cell for cell in table.cells if all(cell.levels.get(axis) == fixed[axis] for axis in fixed))
