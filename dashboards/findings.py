"""The sentences that a sweep's table supports, and those that it does not. Pure.

Every sentence follows from the numbers by a rule that its module states: what must hold before the table may be read
(checks.py), what the axes do (trends.py and rankings.py, judged as in verdict.py), what the probes say (probes.py), and
what to run next. None is written by hand.
"""

import shlex
from collections.abc import Iterator

from dashboards.ablation import Table, is_numeric, tabulate
from dashboards.checks import checks, probe_findings
from dashboards.comparisons import headline, obstacle, readable
from dashboards.rankings import ranking
from dashboards.trends import trend
from dashboards.verdict import Finding, Kind
from dashboards.wording import plain
from orchestrator.trial.lifecycle import RUNNABLE, State
from orchestrator.trial.results import SweepResults

__all__ = ["Finding", "Kind", "find"]

ENOUGH_SEEDS = 3


def find(results: SweepResults) -> tuple[Finding, ...]:
    """All sentences about a sweep, in reading order."""
    return tuple(_find(tabulate(results), name=plain(results.record.name)))


def _find(table: Table, *, name: str) -> Iterator[Finding]:
    yield from checks(table)
    if not table.finished_seeds:
        yield Finding(Kind.UNSUPPORTED, "No trial has finished: nothing can be said yet.")
        yield Finding(Kind.NEXT, f"See where it stands with `iwm status {shlex.quote(name)}`.")
        return
    yield from _axes(table)
    yield from probe_findings(table)
    yield from _next_steps(table, name=name)


def _axes(table: Table) -> Iterator[Finding]:
    metric = headline(table)
    judged = readable(table, metric=metric) if metric else table
    hindered = obstacle(judged, metric=metric)
    if hindered or metric is None:
        yield from (hindered,) if hindered else ()
        return
    ranked = [axis for axis in table.varying if (levels := judged.levels(axis)) and not is_numeric(levels)]
    for axis in table.varying:
        levels = judged.levels(axis)
        if axis in ranked:
            yield from ranking(judged, axis=axis, metric=metric, leads=axis == ranked[0])
        elif len(levels) > 1:
            yield from trend(judged, axis=axis, metric=metric)


def _next_steps(table: Table, *, name: str) -> Iterator[Finding]:
    states = {trial.status.state for cell in table.cells for trial in cell.everything}
    if states & RUNNABLE:
        yield Finding(Kind.NEXT, f"Some trials have stopped early: `iwm resume {shlex.quote(name)}` goes on with them.")
    elif states - {State.FINISHED}:
        yield Finding(Kind.NEXT, f"Some trials are still under way: `iwm status {shlex.quote(name)}` shows them.")
    if table.finished_seeds == 1:
        text = (
            "One seed per cell: no interval exists, and how far another seed would move these numbers is not known. "
            f"For intervals run `iwm submit {shlex.quote(name)} 'seed=range({ENOUGH_SEEDS})'` (with this run's own "
            "overrides, if it had any); what has finished is not run again."
        )
        yield Finding(Kind.NEXT, text)
