"""A sweep's cells on two axes; every further axis makes small multiples. Pure.

    colour = (value - lowest) / (highest - lowest)      value: the metric's mean over a cell's finished seeds

A place that the sweep does not have is empty; a cell without a finished trial has no colour and says how far it is.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.ablation import Cell, Table, is_numeric
from dashboards.comparisons import headline
from dashboards.wording import axis_name, level_name, number, plain
from orchestrator.errors import RequestError
from orchestrator.lifecycle import State, TrialStatus
from orchestrator.sweep import Scalar

GLYPHS = {
    State.FINISHED: "✓",
    State.RUNNING: "▶",
    State.PREEMPTED: "↻",
    State.QUEUED: "…",
    State.PLANNED: "…",
    State.HELD: "‖",
    State.FAILED: "✕",
    State.CANCELLED: "⊘",
}
"""A state's badge; its name stands in the badge's title."""


@dataclass(frozen=True, kw_only=True)
class Badge:
    """How many of a cell's trials are in a state."""

    state: str
    glyph: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Square:
    """One cell: its value as text and as a share of the range (None: no value yet), its states, its trials."""

    text: str
    share: float | None
    badges: tuple[Badge, ...]
    progress: float  # share of all steps that are done
    trial_ids: tuple[str, ...]
    name: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One small multiple; `squares[row][column]`, None where the sweep has no such cell."""

    name: str
    squares: tuple[tuple[Square | None, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Heat:
    """The whole grid. `rows` and `columns` are axes, empty where the sweep varies too few."""

    metric: str
    lowest: float | None
    highest: float | None
    rows: str
    columns: str
    row_names: tuple[str, ...]
    column_names: tuple[str, ...]
    panels: tuple[Panel, ...]


def heat(table: Table, *, metric: str = "", rows: str = "", columns: str = "") -> Heat:
    """The grid. What is not chosen is chosen here: the headline metric, the first two axes.

    Where one axis is asked for twice, the columns give way. A metric may be asked for before a trial has finished.

    Raises:
        RequestError: the sweep has no such metric, or such an axis does not vary in it.
    """
    _check("metric", metric, known=table.metrics or (metric,))
    _check("axis", rows, known=table.varying)
    _check("axis", columns, known=table.varying)
    metric = metric if metric in table.metrics else headline(table) or ""
    rows, columns = _axes(table, rows=rows, columns=columns)
    others = [axis for axis in table.varying if axis not in (rows, columns)]
    means = {id(cell): cell.mean(metric) if metric else None for cell in table.cells}
    known = [mean for mean in means.values() if mean is not None]
    span = (min(known), max(known)) if known else (None, None)
    places = {tuple(cell.levels.get(axis) for axis in table.varying): cell for cell in table.cells}

    def square(*levels: Scalar) -> Square | None:
        fixed = dict(zip((*others, rows, columns), levels, strict=True))
        cell = places.get(tuple(fixed.get(axis) for axis in table.varying))
        return _square(cell, value=means[id(cell)], span=span) if cell else None

    down, across = _levels(table, rows), _levels(table, columns)
    panels = [
        Panel(
            name=", ".join(f"{axis_name(axis)} {_level(level)}" for axis, level in zip(others, chosen, strict=True)),
            squares=tuple(tuple(square(*chosen, row, column) for column in across) for row in down),
        )
        for chosen in itertools.product(*(_levels(table, axis) for axis in others))
    ]
    return Heat(
        metric=metric,
        lowest=span[0],
        highest=span[1],
        rows=rows,
        columns=columns,
        row_names=tuple(map(_level, down)),
        column_names=tuple(map(_level, across)),
        panels=tuple(panel for panel in panels if any(any(line) for line in panel.squares)),
    )


def _check(what: str, name: str, *, known: Sequence[str]) -> None:
    if name and name not in known:
        listed = ", ".join(map(plain, known)) or "none: nothing varies here"
        raise RequestError(f"unknown {what} '{plain(name[:60])}'; choose from {listed}")


def _axes(table: Table, *, rows: str, columns: str) -> tuple[str, str]:
    free = list(table.varying)
    chosen = [axis if axis in free else "" for axis in (rows, columns)]
    if chosen[0] == chosen[1]:
        chosen[1] = ""
    left = [axis for axis in free if axis not in chosen]
    for at, axis in enumerate(chosen):
        if not axis and left:
            chosen[at] = left.pop(0)
    return chosen[0], chosen[1]


def _levels(table: Table, axis: str) -> Sequence[Scalar]:
    """An axis's levels, numbers by size, and last the cells that do not have it; one nameless level for no axis."""
    if not axis:
        return (None,)
    known = table.levels(axis)
    ordered = tuple(sorted(known, key=lambda level: float(level or 0))) if is_numeric(known) else known
    return (*ordered, *([None] if any(axis not in cell.levels for cell in table.cells) else []))


def _level(level: Scalar) -> str:
    return "" if level is None else level_name(level)


def _square(cell: Cell, *, value: float | None, span: tuple[float | None, float | None]) -> Square:
    states = Counter(trial.state for trial in cell.trials)
    low, high = span
    share = None
    if value is not None and low is not None and high is not None:
        share = (value - low) / (high - low) if high > low else 1.0
    return Square(
        text=number(value) if value is not None else "",
        share=share,
        badges=tuple(
            Badge(state=state.value, glyph=GLYPHS[state], count=states[state]) for state in State if states[state]
        ),
        progress=_progress(cell),
        trial_ids=tuple(trial.id for trial in cell.trials),
        name=", ".join(f"{axis_name(axis)} {level_name(level)}" for axis, level in cell.levels.items()) or "all",
    )


def _progress(cell: Cell) -> float:
    """A finished trial needs no look at its steps, which keeps ten thousand of them cheap."""
    return sum(1.0 if trial.state is State.FINISHED else _share(trial.status) for trial in cell.trials) / len(
        cell.trials
    )


def _share(status: TrialStatus) -> float:
    return min(1.0, status.step / status.total_steps) if status.total_steps else 0.0
