"""The findings of a sweep, as sentences. Pure.

Each sentence follows from the numbers by a rule: is the table valid (checks.py), which effects do the axes have
(axes.py, by the verdicts of orchestrator/inference/effects.py), do scores beat their baselines (baselines.py), and what
to run next.
"""

import shlex
from collections.abc import Iterator

from dashboards.cells import Table, tabulate
from dashboards.findings.axes import axis_findings
from dashboards.findings.baselines import probe_findings
from dashboards.findings.checks import Finding, Kind, checks
from dashboards.wording import plain
from orchestrator.trial.lifecycle import RUNNABLE, State
from orchestrator.trial.results import SweepResults

__all__ = ["Finding", "Kind", "find"]

ENOUGH_SEEDS = 3


def find(results: SweepResults) -> tuple[Finding, ...]:
    """All findings of a sweep, in reading order."""
    table, name = tabulate(results), shlex.quote(plain(results.record.name))
    if not table.finished_seeds:
        none = Finding(Kind.UNSUPPORTED, "No trial has finished, so there are no findings yet.")
        return (*checks(table), none, Finding(Kind.NEXT, f"Check the progress with `iwm status {name}`."))
    return (*checks(table), *axis_findings(table), *probe_findings(table), *_next_steps(table, name=name))


def _next_steps(table: Table, *, name: str) -> Iterator[Finding]:
    states = {trial.status.state for cell in table.cells for trial in cell.everything}
    if states & RUNNABLE:
        yield Finding(Kind.NEXT, f"Some trials stopped early: `iwm resume {name}` resumes them.")
    elif states - {State.FINISHED}:
        yield Finding(Kind.NEXT, f"Some trials have not finished: `iwm status {name}` shows them.")
    if table.finished_seeds == 1:
        text = (
            "One seed per cell gives no confidence interval, and the variation between seeds is unknown. "
            f"For intervals run `iwm submit {name} 'seed=range({ENOUGH_SEEDS})'`, with the overrides of this run if it "
            "had any; finished trials are reused."
        )
        yield Finding(Kind.NEXT, text)
