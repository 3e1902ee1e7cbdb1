"""A sweep as CSV: one row per trial, the same bytes whenever the files are the same. Pure.

    axes (in the sweep's order, without the seed), seed, state, final metrics (sorted), attempts, preemptions,
    repeated_steps, wall_hours, gpu_hours, trial_id

Numbers stand with every digit they have. What is missing is empty: an axis that a trial does not have, a metric of a
trial that has not finished.
"""

import csv
import io
from collections.abc import Iterator

from dashboards.ablation import Table, tabulate
from dashboards.cost import cost_of
from dashboards.wording import exact
from orchestrator.lifecycle import State
from orchestrator.results import SweepResults, TrialResult

BEFORE = ("seed", "state")
AFTER = ("attempts", "preemptions", "repeated_steps", "wall_hours", "gpu_hours", "trial_id")


def to_csv(results: SweepResults) -> str:
    """The whole file, lines ended by a newline alone."""
    table = tabulate(results)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*table.axes, *BEFORE, *table.metrics, *AFTER])
    for trial in results.trials:
        writer.writerow(_row(trial, table=table))
    return text.getvalue()


def _row(trial: TrialResult, *, table: Table) -> Iterator[str]:
    status, cost = trial.status, cost_of(trial.status)
    final = status.metrics if status.state is State.FINISHED else {}
    yield from (exact(trial.overrides[axis]) if axis in trial.overrides else "" for axis in table.axes)
    yield from (str(trial.seed), status.state.value)
    yield from (exact(float(final[metric])) if metric in final else "" for metric in table.metrics)
    yield from (str(cost.attempts), str(cost.preemptions), str(cost.repeated_steps))
    yield from (exact(cost.wall_hours), exact(cost.gpu_hours), trial.id)
