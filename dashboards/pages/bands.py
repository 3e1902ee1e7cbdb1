"""An axis's levels as the rows or columns of a grid, numbers by size; where they are many, in bands. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dashboards.ablation import Cell, Table, is_numeric
from dashboards.wording import level_name
from orchestrator.trial.sweep import Scalar

LEVELS_MAX = 40
"""Levels that are shown one by one."""
BANDS = 20
"""Bands, about, of an axis that has more."""


@dataclass(frozen=True, kw_only=True)
class Bands:
    """An axis: a name per band, and the band of each level; cells that do not have the axis come last, without name."""

    axis: str
    names: tuple[str, ...]
    places: Mapping[Scalar, int]

    def at(self, cell: Cell) -> int:
        """The band that a cell lies in."""
        return self.places[cell.levels[self.axis]] if self.axis in cell.levels else len(self.names) - 1


def bands(table: Table, axis: str) -> Bands:
    """The bands of an axis; for no axis a single one without a name."""
    known = table.levels(axis)
    ordered = sorted(known, key=lambda level: float(level or 0)) if is_numeric(known) else list(known)
    size = 1 if len(ordered) <= LEVELS_MAX else math.ceil(len(ordered) / BANDS)
    chunks = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    outside = [""] if any(axis not in cell.levels for cell in table.cells) else []
    return Bands(
        axis=axis,
        names=(*(_name(chunk[0], chunk[-1], many=len(chunk) > 1) for chunk in chunks), *outside),
        places={level: place for place, chunk in enumerate(chunks) for level in chunk},
    )


def _name(first: Scalar, last: Scalar, *, many: bool) -> str:
    return f"{level_name(first)} – {level_name(last)}" if many else level_name(first)
