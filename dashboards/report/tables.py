"""The tables of a report, as grids of words, and a sweep's rows as CSV. Pure.

In a grid, a missing value is a dash, never zero. The CSV has one row per trial, and equal files give equal bytes:

    axes (in the sweep's order, without the seed), seed, state, final metrics (sorted), attempts, preemptions,
    repeated_steps, wall_hours, gpu_hours, trial_id

An evaluation is a row of its own, with its label under `protocol`. Numbers keep every digit. A missing value is empty:
an axis that a trial does not have, a metric of a trial that has not finished.
"""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from dashboards.cells import FLOOR, MRR, PATCHWISE, PIXELS, PROBES, SEED, Cell, Table
from dashboards.cost import Cost, Interruption, cost_of, total
from dashboards.findings.baselines import BASELINES, Contest
from dashboards.report.document import Grid
from dashboards.wording import MISSING, axis_name, exact, level_name, metric_name, number, place_name, plain, signed
from orchestrator.inference import effects
from orchestrator.inference.estimate import Estimate, estimate
from orchestrator.trial.lifecycle import State
from orchestrator.trial.results import SweepResults, TrialResult, identity

COLUMNS = (
    *(MRR, FLOOR, PATCHWISE, "hit1"),
    *(metric for probe in PROBES.items() for metric in probe),
    *(PIXELS, "loss", "target_std"),
)
"""Metrics of the main table, in this order, where they were measured; each score stands beside its reference."""

REFERENCES = frozenset({FLOOR, *PROBES.values(), PIXELS})
"""Baselines of scores, shown without an interval."""


def main(table: Table) -> Grid:
    """Every cell with its metrics."""
    metrics = [metric for metric in COLUMNS if metric in table.metrics]
    header = (*map(axis_name, table.axes), "state", "seeds", *map(metric_name, metrics), "attempts")

    def row(cell: Cell) -> tuple[str, ...]:
        states, done, planned = {trial.status.state for trial in cell.trials}, len(cell.finished), len(cell.trials)
        return (
            *_place(cell, axes=table.axes),
            ", ".join(state.value for state in State if state in states),
            str(planned) if done == planned else f"{done}/{planned}",
            *(spread(cell.estimate(metric), bare=metric in REFERENCES) for metric in metrics),
            str(sum(len(trial.status.attempts) for trial in cell.trials)),
        )

    rows = tuple(map(row, table.cells))
    return Grid("Final metrics of every cell.", header, rows, labels=len(table.axes) + 1)


def evaluations(table: Table) -> Grid | None:
    """Every cell with the scores of its evaluations, a column per label; None where the sweep has no protocols."""
    header = (*map(axis_name, table.axes), *map(axis_name, table.labels))
    rows = tuple(
        (
            *_place(cell, axes=table.axes),
            *(spread(estimate(cell.scores(label).values())) for label in table.labels),
        )
        for cell in table.cells
        if cell.evaluations
    )
    return Grid("Evaluations of every cell.", header, rows, labels=len(table.axes)) if rows else None


def baselines(found: Sequence[Contest], *, axes: tuple[str, ...]) -> Grid | None:
    """Every score of an evaluation beside its baselines; None where no evaluation has finished."""
    names = [name for name in BASELINES if any(name in contest.baselines for contest in found)]
    rows = tuple(
        (
            *_place(contest.cell, axes=axes),
            axis_name(contest.label),
            spread(estimate(contest.scores.values())),
            *(spread(estimate(contest.baselines.get(name, {}).values()), bare=True) for name in names),
            f"{contest.won} of {len(contest.scores)}",
        )
        for contest in found
    )
    header = (*map(axis_name, axes), "protocol", "score", *names, "seeds above all baselines")
    return Grid("Every protocol beside its baselines.", header, rows, labels=len(axes) + 1) if rows else None


def _place(cell: Cell, *, axes: tuple[str, ...]) -> list[str]:
    return [level_name(cell.levels[axis]) if axis in cell.levels else MISSING for axis in axes]


def spread(known: Estimate | None, *, bare: bool = False, digits: int = 3) -> str:
    """`0.407 ± 0.021`; without an interval the mean alone."""
    if known is None:
        return MISSING
    half = known.half_width
    return number(known.mean, digits=digits) + ("" if bare or half is None else f" ± {number(half, digits=digits)}")


def main_effects(table: Table, *, metric: str) -> Grid | None:
    """Each level against the first of its axis; None where no axis varies."""
    rows = []
    for effect in effects.main_effects(table.samples(metric), table.design):
        known = [value for value in effect.by_setting.values() if math.isfinite(value)]
        reach = f"{signed(min(known), digits=3)} to {signed(max(known), digits=3)}" if known else MISSING
        levels = f"{level_name(effect.level)} vs {level_name(effect.base)}"
        rows.append((axis_name(effect.axis), levels, *_difference(effect.estimate), reach))
    name = metric_name(metric)
    header = ("axis", "level", f"difference in {name}", "pairs", "range over settings")
    return Grid(f"Main effects on {name}.", header, tuple(rows), labels=2) if rows else None


def _difference(known: Estimate | None) -> tuple[str, str]:
    """The mean with the half-width of its interval, and over how many values."""
    if known is None:
        return MISSING, "0"
    half = "" if known.half_width is None else f" ± {number(known.half_width)}"
    return signed(known.mean, digits=3) + half, str(known.n)


def interactions(table: Table, *, metric: str) -> Grid | None:
    """How far one axis' effect depends on another; None where no two axes cross."""
    rows = tuple(
        (
            *(
                f"{axis_name(axis)} {level_name(level)} vs {level_name(base)}"
                for axis, level, base in zip(both.axes, both.levels, both.bases, strict=True)
            ),
            *_difference(both.estimate),
        )
        for both in effects.interactions(table.samples(metric), table.design)
    )
    name = metric_name(metric)
    header = ("effect of", "compared between", f"difference in {name}", "quadruples")
    return Grid(f"Two-way interactions on {name}.", header, rows, labels=2) if rows else None


def cost(table: Table) -> Grid:
    """The cost of each cell and of the sweep."""
    header = (*map(axis_name, table.axes), "trials", "attempts", "preemptions", "repeated steps", "wall h", "GPU h")
    rows = [(*_place(cell, axes=table.axes), *_used(cell.cost)) for cell in table.cells]
    if table.axes:
        together = total(cell.cost for cell in table.cells)
        rows.append(("all", *[""] * (len(table.axes) - 1), *_used(together)))
    return Grid("Cost so far, over all attempts.", header, tuple(rows), labels=len(table.axes))


def _used(used: Cost) -> tuple[str, ...]:
    whole = (used.trials, used.attempts, used.preemptions, used.repeated_steps)
    return (*map(str, whole), *(number(hours) if hours else "0" for hours in (used.wall_hours, used.gpu_hours)))


def interrupted(results: SweepResults) -> Grid | None:
    """The trials that needed more than one attempt, or drifted; None where there is none."""
    rows = tuple(
        (
            *_who(trial),
            identity(trial.status) or MISSING,
            plain(", ".join(trial.status.drifted)) or MISSING,
            *map(str, (len(trial.status.attempts), trial.status.preemptions, trial.status.repeated_steps)),
        )
        for trial in results.trials
        if len(trial.status.attempts) > 1 or trial.status.drifted
    )
    header = ("trial", "cell", "identity", "drifted metrics", "attempts", "preemptions", "repeated steps")
    return Grid("Interrupted trials.", header, rows, labels=4) if rows else None


def failures(results: SweepResults) -> Grid | None:
    """The trials that failed, and why; None where there is none."""
    failed = [trial for trial in results.trials if trial.status.state is State.FAILED]
    rows = tuple(
        (*_who(trial), plain(trial.status.error) or MISSING, str(cost_of(trial.status).attempts)) for trial in failed
    )
    return Grid("Failed trials.", ("trial", "cell", "reason", "attempts"), rows, labels=3) if rows else None


def _who(trial: TrialResult) -> tuple[str, str]:
    return trial.id[:8], place_name(trial.overrides) or MISSING


def by_cause(interruptions: Iterable[Interruption]) -> Grid:
    """Work repeated after interruptions: one row per cause, the most expensive first, and a sum."""
    causes: dict[str, list[Interruption]] = {}
    for one in interruptions:
        causes.setdefault(one.cause, []).append(one)

    def spent(found: list[Interruption]) -> float:
        return sum(one.seconds for one in found)

    rows = sorted(causes.items(), key=lambda item: -spent(item[1]))
    rows = [*rows, ("all", [one for found in causes.values() for one in found])]
    return Grid(
        caption="Work repeated after interruptions.",
        header=("cause", "interruptions", "steps repeated", "GPU-seconds repeated"),
        rows=tuple(
            (cause, str(len(found)), str(sum(one.repeated_steps for one in found)), f"{spent(found):.1f}")
            for cause, found in rows
        ),
        labels=1,
    )


def to_csv(results: SweepResults) -> str:
    """The rows of a sweep."""
    axes = [axis for axis in results.record.axes if axis != SEED]
    done = [trial.status.metrics if trial.status.state is State.FINISHED else {} for trial in results.trials]
    metrics = sorted(set().union(*done))

    def row(trial: TrialResult, final: Mapping[str, float]) -> Iterator[object]:
        cost = cost_of(trial.status)
        yield from (exact(trial.overrides[axis]) if axis in trial.overrides else "" for axis in axes)
        yield from (trial.seed, trial.status.state.value)
        yield from (exact(float(final[metric])) if metric in final else "" for metric in metrics)
        yield from (cost.attempts, cost.preemptions, cost.repeated_steps)
        yield from (exact(cost.wall_hours), exact(cost.gpu_hours), trial.id)

    after = ("attempts", "preemptions", "repeated_steps", "wall_hours", "gpu_hours", "trial_id")
    return csv_text((*axes, "seed", "state", *metrics, *after), map(row, results.trials, done))


def csv_text(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A CSV file; lines end with a newline alone."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
