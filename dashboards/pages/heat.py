"""A sweep's cells on two axes; every further axis makes small multiples. Pure.

    colour = (value - lowest) / (highest - lowest)      value: the metric's mean over a cell's finished seeds

A place that the sweep does not have is empty; a cell without a finished trial has no colour and shows its progress.
Where an axis has too many levels for a page, neighbouring ones share a band: its squares show the mean over cells.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashboards.cells import Cell, Table
from dashboards.pages.requests import Page, paged
from dashboards.wording import axis_name, level_name, number, plain
from orchestrator.errors import RequestError
from orchestrator.trial.lifecycle import State
from orchestrator.trial.results import TrialResult
from orchestrator.trial.sweep import Scalar

LEVELS_MAX = 40
"""The most levels that are shown one by one."""
BANDS = 20
"""The approximate number of bands of an axis that has more."""


@dataclass(frozen=True, kw_only=True)
class Bands:
    """An axis: a name for each band, and the band of each level; cells without the axis have a nameless last band."""

    axis: str
    names: tuple[str, ...]
    places: Mapping[Scalar, int]

    def at(self, cell: Cell) -> int:
        """The band that a cell lies in."""
        return self.places[cell.levels[self.axis]] if self.axis in cell.levels else len(self.names) - 1


def bands(table: Table, axis: str) -> Bands:
    """The bands of an axis; for no axis a single one without a name."""
    ordered = table.ordered(axis)
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


GLYPHS = {
    State.FINISHED: "✓",
    State.RUNNING: "▶",
    State.PREEMPTED: "↻",
    State.QUEUED: "…",
    State.PLANNED: "○",
    State.HELD: "‖",
    State.FAILED: "✕",
    State.CANCELLED: "⊘",
}
"""The symbol of a state."""
SQUARES = 1_500
"""The approximate number of squares on one page; a panel is never cut."""
SCORE = "score of "
"""Prefix of an evaluation's label in the list of metrics."""


@dataclass(frozen=True, kw_only=True)
class Square:
    """One place: its value as text and as a share of the range (None: no value yet), its states, its first trial."""

    text: str
    share: float | None
    states: Mapping[State, int]
    progress: float  # share of all steps that are done
    trial_id: str


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
    rows: Bands
    columns: Bands
    panels: Page[Panel]


def metrics(table: Table) -> tuple[str, ...]:
    """The choices for colour: the metrics of finished trials, and the scores of their evaluations."""
    return (*table.metrics, *(SCORE + label for label in table.labels))


def heat(
    table: Table, *, metric: str = "", rows: str = "", columns: str = "", page: int = 1, squares: int = SQUARES
) -> Heat:
    """The grid, with as many panels to a page as fit into `squares`.

    Defaults are the headline metric and the first two axes. Where the same axis is requested twice, the columns take
    another one. A metric may be requested before a trial has finished.

    Raises:
        RequestError: the sweep has no such metric or page, or the axis does not vary.
    """
    _check("metric", metric, known=metrics(table) or (metric,))
    _check("axis", rows, known=table.varying)
    _check("axis", columns, known=table.varying)
    metric = metric if metric in metrics(table) else table.headline or next(iter(metrics(table)), "")
    chosen = _axes(table, rows=rows, columns=columns)
    down, across = bands(table, chosen[0]), bands(table, chosen[1])
    others = [bands(table, axis) for axis in table.varying if axis not in chosen]
    places = _placed(table, down=down, across=across, others=others)
    shown = paged(sorted(places), number=page, size=max(1, squares // max(1, len(down.names) * len(across.names))))
    values = {id(cell): value for cell in table.cells if (value := _value(cell, metric)) is not None}
    finite = [value for value in values.values() if math.isfinite(value)]
    span = (min(finite), max(finite)) if finite else (math.nan, math.nan)

    def panel(key: tuple[int, ...]) -> Panel:
        inside = places[key]
        name = ", ".join(f"{axis_name(one.axis)} {one.names[at]}" for one, at in zip(others, key, strict=True))
        lines = ([inside.get((row, column)) for column in range(len(across.names))] for row in range(len(down.names)))
        return Panel(
            name=name,
            squares=tuple(tuple(_square(cells, values, span) if cells else None for cells in line) for line in lines),
        )

    return Heat(
        metric=metric,
        lowest=span[0] if finite else None,
        highest=span[1] if finite else None,
        rows=down,
        columns=across,
        panels=Page(items=tuple(map(panel, shown.items)), number=shown.number, pages=shown.pages),
    )


def _check(what: str, name: str, *, known: Sequence[str]) -> None:
    if name and name not in known:
        raise RequestError.unknown(what, name, choices=map(plain, known), shown=plain(name[:60]))


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


Cells = dict[tuple[int, int], list[Cell]]


def _placed(table: Table, *, down: Bands, across: Bands, others: Sequence[Bands]) -> dict[tuple[int, ...], Cells]:
    """The cells of each panel, by row and column."""
    places: dict[tuple[int, ...], Cells] = {}
    for cell in table.cells:
        inside = places.setdefault(tuple(axis.at(cell) for axis in others), {})
        inside.setdefault((down.at(cell), across.at(cell)), []).append(cell)
    return places


def _value(cell: Cell, metric: str) -> float | None:
    """The mean over finished seeds, without its interval, which would take seconds for ten thousand cells."""
    label = metric.removeprefix(SCORE)
    known = cell.values(metric) if label == metric else cell.scores(label)
    return sum(known.values()) / len(known) if known else None


def _square(cells: Sequence[Cell], values: Mapping[int, float], span: tuple[float, float]) -> Square:
    trials = [trial for cell in cells for trial in cell.everything]
    known = [values[id(cell)] for cell in cells if id(cell) in values]
    mean = sum(known) / len(known) if known else math.nan
    low, high = span
    share = (mean - low) / (high - low) if high > low else 0.5
    states = Counter(trial.state for trial in trials)
    return Square(
        text=number(mean) if known else "",
        share=min(1.0, max(0.0, share)) if math.isfinite(mean) else None,
        states={state: states[state] for state in State if states[state]},
        progress=sum(map(_progress, trials)) / len(trials),
        trial_id=trials[0].id,
    )


def _progress(trial: TrialResult) -> float:
    """The share of steps that are done; 1 for a finished trial, whose steps need not be read."""
    if trial.state is State.FINISHED:
        return 1.0
    return min(1.0, trial.status.step / trial.status.total_steps) if trial.status.total_steps else 0.0
