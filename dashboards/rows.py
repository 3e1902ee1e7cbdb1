"""A sweep as CSV: one row per trial, the same bytes whenever the files are the same. Pure.

    axes (in the sweep's order, without the seed), seed, state, final metrics (sorted), attempts, preemptions,
    repeated_steps, wall_hours, gpu_hours, trial_id

An evaluation is a row of its own, with its label under `protocol`. Numbers stand with every digit they have. What is
missing is empty: an axis that a trial does not have, a metric of a trial that has not finished.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from dashboards.ablation import SEED
from dashboards.cost import cost_of
from dashboards.wording import exact
from orchestrator.trial.lifecycle import State
from orchestrator.trial.results import SweepResults, TrialResult

BEFORE = ("seed", "state")
AFTER = ("attempts", "preemptions", "repeated_steps", "wall_hours", "gpu_hours", "trial_id")


def to_csv(results: SweepResults) -> str:
    """The whole file, lines ended by a newline alone."""
    axes = [axis for axis in results.record.axes if axis != SEED]
    metrics = sorted({key for trial in results.trials for key in _final(trial)})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*axes, *BEFORE, *metrics, *AFTER])
    for trial in results.trials:
        writer.writerow(_row(trial, axes=axes, metrics=metrics))
    return text.getvalue()


def _final(trial: TrialResult) -> Mapping[str, float]:
    return trial.status.metrics if trial.status.state is State.FINISHED else {}


def _row(trial: TrialResult, *, axes: Sequence[str], metrics: Sequence[str]) -> Iterator[str]:
    cost, final = cost_of(trial.status), _final(trial)
    yield from (exact(trial.overrides[axis]) if axis in trial.overrides else "" for axis in axes)
    yield from (str(trial.seed), trial.status.state.value)
    yield from (exact(float(final[metric])) if metric in final else "" for metric in metrics)
    yield from (str(cost.attempts), str(cost.preemptions), str(cost.repeated_steps))
    yield from (exact(cost.wall_hours), exact(cost.gpu_hours), trial.id)
