"""What the score of an evaluation must beat, by seed. Pure.

    majority class       always the answer that is most frequent among the test images (or their pixels)
    random encoder       the same protocol on the encoder as it started; of a curve over layers, its best layer. Where
                         the encoder is tuned: another label of the cell, which starts all that it tunes at random
    random predictor     the same protocol, where another label of the cell starts it with a random predictor alone
    floor                of MRR: what a predictor gets that knows nothing of the action

A label that starts anything at random is a baseline and has no contest of its own.

Which of them a protocol has is seen from its metrics: docs/decisions/0010-baselines-of-tuning.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dashboards.ablation import Cell, protocol_of, score_of
from orchestrator.trial.lifecycle import State
from orchestrator.trial.results import TrialResult

MAJORITY, ENCODER, PREDICTOR, FLOOR = "majority class", "random encoder", "random predictor", "floor"
BASELINES = (MAJORITY, ENCODER, PREDICTOR, FLOOR)

NAMED = {
    "linear": {MAJORITY: "majority_top1", ENCODER: "random_probe_top1"},
    "mrr": {FLOOR: "mrr_floor"},
}
"""Protocol -> baseline -> metric, where the protocol's name does not say."""


@dataclass(frozen=True)
class Contest:
    """The scores of a cell's evaluations under one label, and their baselines, by seed."""

    cell: Cell
    label: str
    scores: Mapping[int, float]
    baselines: Mapping[str, Mapping[int, float]]

    @property
    def won(self) -> int:
        """How many seeds lie above every baseline that they have."""
        return sum(
            all(value > known[seed] for known in self.baselines.values() if seed in known)
            for seed, value in self.scores.items()
        )


def contests(cell: Cell) -> tuple[Contest, ...]:
    """One for each label under which an evaluation of the cell has finished, but for baselines."""
    scores = {label: cell.scores(label) for label in cell.evaluations}
    contestants = [label for label, found in scores.items() if found and not _at_random(cell.evaluations[label][0])]
    return tuple(Contest(cell, label, scores[label], _baselines(cell, label, scores)) for label in contestants)


def _baselines(cell: Cell, label: str, scores: Mapping[str, Mapping[int, float]]) -> dict[str, Mapping[int, float]]:
    done = [trial for trial in cell.evaluations[label] if trial.status.state is State.FINISHED]
    found: dict[str, Mapping[int, float]] = {}
    for name in (MAJORITY, ENCODER, FLOOR):
        known = {trial.seed: value for trial in done if (value := _within(trial, name)) is not None}
        if known:
            found[name] = known
    protocol = protocol_of(cell.evaluations[label][0])
    for other, trials in cell.evaluations.items():
        if (start := _at_random(trials[0])) and protocol_of(trials[0]) == protocol and scores[other]:
            found[PREDICTOR if start == {"predictor"} else ENCODER] = scores[other]
    return found


def _within(trial: TrialResult, baseline: str) -> float | None:
    """A baseline that the evaluation measured itself."""
    metrics, protocol = trial.status.metrics, protocol_of(trial)
    if protocol in NAMED:
        return metrics.get(NAMED[protocol].get(baseline, ""))
    measured = score_of(protocol)
    if baseline == MAJORITY:
        return metrics.get(f"{protocol}_majority_{measured.rpartition('_')[2]}")
    if baseline == FLOOR:
        return None
    twin = measured.replace(protocol, f"{protocol}_random", 1)
    layers = [value for name, value in metrics.items() if name.startswith(f"{protocol}_random_")]
    return metrics.get(twin, max(layers, default=None))


def _at_random(trial: TrialResult) -> set[str]:
    """The parts that an evaluation starts at random."""
    return {part for part in ("encoder", "predictor") if trial.config.get(f"tune.{part}") == "random"}
