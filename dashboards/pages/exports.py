"""The data of a page as CSV rows and as tables for a paper. Pure."""

from collections.abc import Iterable, Sequence

from dashboards.cells import Table
from dashboards.pages.heat import Heat, Panel
from dashboards.pages.lanes import Lane
from dashboards.pages.source import Overview
from dashboards.report.document import Document, Grid
from dashboards.report.tables import csv_text
from dashboards.wording import MISSING, axis_name, exact, metric_name
from orchestrator.inference.effects import interactions, main_effects
from orchestrator.inference.estimate import Estimate
from orchestrator.trial.lifecycle import Point, State

ATTEMPTS = (
    *("trial_id", "trial", "attempt", "node", "job_id", "waited_s", "start_unix_s", "end_unix_s", "end", "cause"),
    *("from_step", "to_step", "repeated_steps", "gpu_hours"),
)

EFFECTS = ("kind", "axis", "from", "to", "difference", "half_width", "pairs", "metric")


def sweeps_csv(overviews: Iterable[Overview]) -> str:
    """One row per sweep."""
    rows = ((one.record.id, one.record.about, *(one.states[state] for state in State)) for one in overviews)
    return csv_text(("sweep", "about", *(state.value for state in State)), rows)


def sweeps(overviews: Iterable[Overview]) -> Document:
    """The sweeps as a table."""
    rows = tuple((one.record.id, *(str(one.states[state]) for state in State)) for one in overviews)
    return Document("Sweeps", (Grid("Trials by state", ("sweep", *(state.value for state in State)), rows, labels=1),))


def attempts_csv(lanes: Iterable[Lane]) -> str:
    """One row per attempt."""
    rows = (
        (
            *(
                lane.trial_id,
                lane.name,
                bar.attempt.number,
                bar.attempt.host,
                bar.attempt.job_id,
                f"{bar.waited_s:.3f}",
            ),
            *(f"{bar.start_t:.3f}", f"{bar.end_t:.3f}", bar.end, bar.attempt.cause),
            *(bar.from_step, bar.to_step, bar.repeated_steps, f"{bar.gpu_hours:.6f}"),
        )
        for lane in lanes
        for bar in lane.bars
    )
    return csv_text(ATTEMPTS, rows)


def points_csv(points: Iterable[Point]) -> str:
    """One row per value of a metric."""
    rows = ((point.key, point.step, repr(point.value), f"{point.t:.3f}", point.attempt) for point in points)
    return csv_text(("metric", "step", "value", "unix_s", "attempt"), rows)


def effects_csv(table: Table) -> str:
    """One row per main effect and per interaction on the headline metric."""
    metric = table.headline
    samples, rows = table.samples(metric) if metric else [], list[tuple[object, ...]]()
    for effect in main_effects(samples, table.design):
        if known := effect.estimate:
            rows.append(("main", effect.axis, exact(effect.base), exact(effect.level), *_numbers(known)))
    for both in interactions(samples, table.design):
        bases, levels = (" x ".join(map(exact, pair)) for pair in (both.bases, both.levels))
        rows.append(("interaction", " x ".join(both.axes), bases, levels, *_numbers(both.estimate)))
    return csv_text(EFFECTS, [(*row, metric) for row in rows])


def grid(title: str, shown: Heat) -> Document:
    """The heat map as tables of numbers."""
    name = metric_name(shown.metric) if shown.metric else "no trial has finished"
    return Document(title, tuple(_panel(shown, panel, name=name) for panel in shown.panels.items))


def attempts(name: str, lanes: Sequence[Lane]) -> Document:
    """The attempts as a table."""
    rows = tuple(
        (
            *(lane.trial_id[:8], str(bar.attempt.number), bar.attempt.host, bar.end),
            *map(str, (bar.from_step, bar.to_step, bar.repeated_steps)),
        )
        for lane in lanes
        for bar in lane.bars
    )
    header = ("trial", "attempt", "node", "ended by", "from step", "to step", "repeated")
    return Document(name, (Grid(f"Attempts of {name}", header, rows, labels=4),))


def _panel(shown: Heat, panel: Panel, *, name: str) -> Grid:
    down, across = axis_name(shown.rows.axis), axis_name(shown.columns.axis)
    rows = tuple(
        (row, *((square.text or MISSING) if square else "" for square in line))
        for row, line in zip(shown.rows.names, panel.squares, strict=True)
    )
    caption = name + (f", by {across}" if across else "") + (f" ({panel.name})" if panel.name else "")
    return Grid(caption, (down, *(column or name for column in shown.columns.names)), rows, labels=1)


def _numbers(known: Estimate) -> tuple[object, ...]:
    return (repr(known.mean), "" if known.half_width is None else repr(known.half_width), known.n)
