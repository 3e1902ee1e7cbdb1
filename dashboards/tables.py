"""The tables of a report, as grids of words. Pure. Whatever has no value stands as a dash, never as zero."""

import math
from collections.abc import Sequence

from dashboards import effects
from dashboards.ablation import Cell, Table
from dashboards.baselines import BASELINES, Contest
from dashboards.cost import Cost, cost_of, total
from dashboards.document import Grid
from dashboards.wording import MISSING, axis_name, level_name, metric_name, number, place_name, plain, signed
from orchestrator.inference.estimate import Estimate, estimate
from orchestrator.trial.lifecycle import State
from orchestrator.trial.results import SweepResults, TrialResult, identity
from orchestrator.trial.sweep import Scalar

COLUMNS = (
    "mrr",
    "mrr_floor",
    "mrr_patchwise",
    "hit1",
    "linear_probe_top1",
    "random_probe_top1",
    "linear_probe_tokens_top1",
    "random_probe_tokens_top1",
    "pixel_probe_top1",
    "loss",
    "target_std",
)
"""Metrics of the main table, in this order, where they were measured; each score stands beside its reference."""

REFERENCES = frozenset({"mrr_floor", "random_probe_top1", "random_probe_tokens_top1", "pixel_probe_top1"})
"""What a score is read against: shown without an interval."""


def main(table: Table) -> Grid:
    """Every cell with its metrics."""
    metrics = [metric for metric in COLUMNS if metric in table.metrics]
    header = (*map(axis_name, table.axes), "state", "seeds", *map(metric_name, metrics), "attempts")
    rows = tuple(_main_row(cell, axes=table.axes, metrics=metrics) for cell in table.cells)
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


def beside_baselines(found: Sequence[Contest], *, axes: tuple[str, ...]) -> Grid | None:
    """Every score of an evaluation beside what it must beat; None where no evaluation has finished."""
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
    header = (*map(axis_name, axes), "protocol", "score", *names, "seeds above all")
    return Grid("Every protocol beside its baselines.", header, rows, labels=len(axes) + 1) if rows else None


def _main_row(cell: Cell, *, axes: tuple[str, ...], metrics: list[str]) -> tuple[str, ...]:
    seeds = (
        str(len(cell.trials)) if len(cell.finished) == len(cell.trials) else f"{len(cell.finished)}/{len(cell.trials)}"
    )
    values = (spread(cell.estimate(metric), bare=metric in REFERENCES) for metric in metrics)
    attempts = sum(len(trial.status.attempts) for trial in cell.trials)
    return (*_place(cell, axes=axes), _state(cell), seeds, *values, str(attempts))


def _place(cell: Cell, *, axes: tuple[str, ...]) -> list[str]:
    return [level_name(cell.levels[axis]) if axis in cell.levels else MISSING for axis in axes]


def _state(cell: Cell) -> str:
    """`finished`, or every state that a trial of the cell is in."""
    states = {trial.status.state for trial in cell.trials}
    return ", ".join(state.value for state in State if state in states)


def spread(known: Estimate | None, *, bare: bool = False, digits: int = 3) -> str:
    """`0.407 ± 0.021`; without an interval the mean alone."""
    if known is None:
        return MISSING
    half = known.half_width
    return number(known.mean, digits=digits) + ("" if bare or half is None else f" ± {number(half, digits=digits)}")


def main_effects(table: Table, *, metric: str) -> Grid | None:
    """Every level against the first of its axis; None where no axis varies."""
    rows = [
        (
            axis_name(effect.axis),
            f"{level_name(effect.level)} against {level_name(effect.base)}",
            *_difference(effect.estimate),
            _reach(effect),
        )
        for effect in effects.main_effects(table, metric=metric)
    ]
    name = metric_name(metric)
    header = ("axis", "level", f"difference in {name}", "pairs", "between settings")
    return Grid(f"Main effects on {name}.", header, tuple(rows), labels=2) if rows else None


def _difference(known: Estimate | None) -> tuple[str, str]:
    """The mean with its interval, and over how many."""
    if known is None:
        return MISSING, "0"
    half = "" if known.half_width is None else f" ± {number(known.half_width)}"
    return signed(known.mean, digits=3) + half, str(known.n)


def _reach(effect: effects.MainEffect) -> str:
    """From the smallest to the largest difference over the settings of the other axes."""
    known = [value for value in effect.by_place.values() if math.isfinite(value)]
    return f"{signed(min(known), digits=3)} to {signed(max(known), digits=3)}" if known else MISSING


def interactions(table: Table, *, metric: str) -> Grid | None:
    """How far one axis' effect depends on another; None where no two axes cross."""
    rows = tuple(
        (
            _versus(both.axes[0], level=both.levels[0], base=both.bases[0]),
            _versus(both.axes[1], level=both.levels[1], base=both.bases[1]),
            *_difference(both.estimate),
        )
        for both in effects.interactions(table, metric=metric)
    )
    name = metric_name(metric)
    header = ("effect of", "differs under", f"difference in {name}", "quadruples")
    return Grid(f"Two-way interactions on {name}.", header, rows, labels=2) if rows else None


def _versus(axis: str, *, level: Scalar, base: Scalar) -> str:
    return f"{axis_name(axis)} {level_name(level)} against {level_name(base)}"


def cost(table: Table) -> Grid:
    """What every cell and the sweep have used."""
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
