"""A sweep's results as a factorial table. Pure.

    cell          the trials that differ in their seed alone
    y(cell)       mean and interval over the cell's finished seeds
    score(cell)   the same of its evaluations under one label (orchestrator/planning/protocols.py)

A cell without a finished trial has no value: it is missing, never zero. The metrics of an unfinished trial enter no
mean. Evaluations make no cells: they join the cell of the trial whose weights they measured.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from dashboards.cost import Cost, cost_of, total
from orchestrator.inference.effects import Sample
from orchestrator.inference.estimate import Estimate, estimate
from orchestrator.planning.protocols import AXIS
from orchestrator.trial.lifecycle import State
from orchestrator.trial.results import SweepResults, TrialResult
from orchestrator.trial.sweep import Scalar

SCORES = {
    "": "mrr",
    "mrr": "mrr",
    "linear": "linear_probe_top1",
    "per_class": "per_class_s100_top1",
}
"""Protocol -> metric, where the name does not follow the rule of `score_of`."""


def score_of(protocol: str) -> str:
    """The metric that is the score of a protocol of the core."""
    kind = "miou" if protocol.startswith("segmentation") else "top1"
    return SCORES.get(protocol, f"{protocol}_{kind}")


def protocol_of(trial: TrialResult) -> str:
    """The protocol of an evaluation; empty for a pretraining trial."""
    return str(trial.config.get("evaluate.protocol", ""))


def score(trial: TrialResult) -> float | None:
    """The score of a finished evaluation; None where it has none."""
    return trial.status.metrics.get(score_of(protocol_of(trial)))


SEED = "seed"
MRR, FLOOR, PATCHWISE = "mrr", "mrr_floor", "mrr_patchwise"
HEADLINES = (MRR, "linear_probe_top1")
"""The metrics that a sweep is judged by: the first that a finished trial has."""
PROBES = {
    "linear_probe_top1": "random_probe_top1",
    "linear_probe_tokens_top1": "random_probe_tokens_top1",
}
"""Linear probe -> the same probe on the random encoder."""
PIXELS = "pixel_probe_top1"


@dataclass(frozen=True)
class Cell:
    """One combination of levels. `levels` holds the axes that the cell's trials have, without the seed; `evaluations`
    the trials that measured their weights, by label."""

    levels: Mapping[str, Scalar]
    trials: tuple[TrialResult, ...]
    evaluations: Mapping[str, tuple[TrialResult, ...]] = field(default_factory=dict)

    @property
    def everything(self) -> Iterator[TrialResult]:
        """Its trials, then their evaluations."""
        yield from self.trials
        for found in self.evaluations.values():
            yield from found

    @cached_property
    def finished(self) -> tuple[TrialResult, ...]:
        """The trials whose metrics are final."""
        return tuple(trial for trial in self.trials if trial.status.state is State.FINISHED)

    def values(self, metric: str) -> dict[int, float]:
        """The metric's final value by seed, of the finished trials that have it."""
        known = ((trial.seed, trial.status.metrics) for trial in self.finished)
        return {seed: metrics[metric] for seed, metrics in known if metric in metrics}

    def scores(self, label: str) -> dict[int, float]:
        """The score of each finished evaluation under this label, by seed."""
        done = (trial for trial in self.evaluations.get(label, ()) if trial.status.state is State.FINISHED)
        return {trial.seed: value for trial in done if (value := score(trial)) is not None}

    def estimate(self, metric: str) -> Estimate | None:
        """Mean and interval over seeds; None where no finished trial has the metric."""
        return estimate(self.values(metric).values())

    def mean(self, metric: str) -> float | None:
        """The mean over seeds; None where no finished trial has the metric."""
        known = self.estimate(metric)
        return known.mean if known else None

    @property
    def is_blind(self) -> bool:
        """Return True where the predictor never sees the action."""
        return all(trial.config.get("conditioning.kind") == "none" for trial in self.trials)

    @property
    def is_collapsed(self) -> bool:
        """Return True where the collapse alarm of a finished trial is on."""
        return any(trial.status.metrics.get("collapse_alarm") for trial in self.finished)

    @property
    def cost(self) -> Cost:
        """The cost of all trials and their evaluations, finished or not."""
        return total(cost_of(trial.status) for trial in self.everything)


@dataclass(frozen=True)
class Table:
    """All cells of a sweep, in the sweep's order; `axes` without the seed and without the protocol."""

    axes: tuple[str, ...]
    cells: tuple[Cell, ...]

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that a finished trial has, sorted."""
        return tuple(sorted({key for cell in self.cells for trial in cell.finished for key in trial.status.metrics}))

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Every seed that was planned, sorted."""
        return tuple(sorted({trial.seed for cell in self.cells for trial in cell.trials}))

    @cached_property
    def finished_seeds(self) -> int:
        """The largest number of seeds that a cell has finished."""
        return max((len({trial.seed for trial in cell.finished}) for cell in self.cells), default=0)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The labels of the cells' evaluations, in the sweep's order."""
        return tuple(dict.fromkeys(label for cell in self.cells for label in cell.evaluations))

    @cached_property
    def varying(self) -> tuple[str, ...]:
        """The axes with more than one level."""
        return tuple(axis for axis in self.axes if len(self.levels(axis)) > 1)

    def levels(self, axis: str) -> tuple[Scalar, ...]:
        """The values of an axis, in the sweep's order."""
        return self._levels.get(axis, ())

    def ordered(self, axis: str) -> tuple[Scalar, ...]:
        """The same, numbers by size."""
        known = self.levels(axis)
        return tuple(sorted(known, key=lambda level: float(level or 0))) if is_numeric(known) else known

    @cached_property
    def _levels(self) -> Mapping[str, tuple[Scalar, ...]]:
        found: dict[str, dict[Scalar, None]] = {}
        for cell in self.cells:
            for axis, level in cell.levels.items():
                found.setdefault(axis, {})[level] = None
        return {axis: tuple(levels) for axis, levels in found.items()}

    @cached_property
    def design(self) -> Mapping[str, tuple[Scalar, ...]]:
        """The levels of each axis that varies."""
        return {axis: self.levels(axis) for axis in self.varying}

    @cached_property
    def headline(self) -> str | None:
        """The metric that the sweep is judged by; None where no finished trial has one."""
        return next((metric for metric in HEADLINES if metric in self.metrics), None)

    def means(self, metric: str) -> list[float]:
        """The mean of each cell that has the metric."""
        return [mean for cell in self.cells if (mean := cell.mean(metric)) is not None]

    def samples(self, metric: str) -> list[Sample]:
        """The cells as the input of `orchestrator.inference.effects`."""
        return [Sample(cell.levels, cell.values(metric)) for cell in self.cells]

    def where(self, keep: Callable[[Cell], bool]) -> "Table":
        """The table of the cells for which `keep` holds."""
        return replace(self, cells=tuple(cell for cell in self.cells if keep(cell)))


def tabulate(results: SweepResults) -> Table:
    """Group a sweep's trials into cells."""
    grouped: dict[tuple[tuple[str, Scalar], ...], dict[str, list[TrialResult]]] = {}
    axes = tuple(axis for axis in results.record.axes if axis not in (SEED, AXIS))
    for trial in results.trials:
        place = tuple((axis, trial.overrides[axis]) for axis in axes if axis in trial.overrides)
        label = str(trial.overrides.get(AXIS, ""))
        grouped.setdefault(place, {}).setdefault(label, []).append(trial)
    return Table(axes, tuple(_cell(dict(place), found) for place, found in grouped.items()))


def _cell(levels: Mapping[str, Scalar], found: Mapping[str, list[TrialResult]]) -> Cell:
    evaluations = {label: tuple(trials) for label, trials in found.items() if label}
    return Cell(levels, tuple(found.get("", ())), evaluations)


def is_numeric(levels: tuple[Scalar, ...]) -> bool:
    """Return True where all levels are numbers, so that the axis has an order."""
    return all(isinstance(level, int | float) and not isinstance(level, bool) for level in levels)
