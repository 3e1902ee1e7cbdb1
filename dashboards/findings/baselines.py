"""The baselines that a score must beat. Pure.

Of an evaluation, by seed:

    majority class       always predict the most frequent class of the test images (or of their pixels)
    random encoder       the same protocol on the encoder at initialization; of a curve over layers, its best layer.
                         Where the encoder is tuned: another label of the cell, which starts all that it tunes at random
    random predictor     the same protocol, where another label of the cell starts with a random predictor alone
    floor                of MRR: the value of a predictor that is blind to the action

A label that starts anything at random is a baseline and has no contest of its own. The metrics of a protocol show which
baselines it has: docs/decisions/0010-baselines-of-tuning.md.

Of the linear probes that pretraining measures at its end:

    beats       the accuracy p exceeds that of the same probe on the random encoder r by more than
                2 sqrt((p (1 - p) + r (1 - r)) / n)
    supported   it does so in every cell; else there is no conclusion about semantics

[OURS] n = 500 test images, or evaluate.probe_test_images where that is less: a larger test set is judged
conservatively, a smaller one only if that setting says so. The interval of a mean difference over cells treats their
errors as fully correlated, since cells share the test images.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

from dashboards.cells import PIXELS, PROBES, Cell, Table, protocol_of, score_of
from dashboards.findings.checks import Finding, Kind
from dashboards.wording import counted, signed
from orchestrator.inference.effects import accuracy_margin
from orchestrator.trial.lifecycle import State
from orchestrator.trial.results import TrialResult

MAJORITY, ENCODER, PREDICTOR, FLOOR = "majority class", "random encoder", "random predictor", "floor"
BASELINES = (MAJORITY, ENCODER, PREDICTOR, FLOOR)

NAMED = {
    "linear": {MAJORITY: "majority_top1", ENCODER: "random_probe_top1"},
    "mrr": {FLOOR: "mrr_floor"},
}
"""Protocol -> baseline -> metric, for protocols whose metrics do not follow the naming rule."""


@dataclass(frozen=True)
class Contest:
    """The scores of a cell's evaluations under one label, and their baselines, by seed."""

    cell: Cell
    label: str
    scores: Mapping[int, float]
    baselines: Mapping[str, Mapping[int, float]]

    @property
    def won(self) -> int:
        """The number of seeds whose score exceeds every baseline that they have."""
        return sum(
            all(value > known[seed] for known in self.baselines.values() if seed in known)
            for seed, value in self.scores.items()
        )


def contests(cell: Cell) -> tuple[Contest, ...]:
    """A contest for each label with a finished evaluation, except for labels that are baselines."""
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
    """The value of a baseline that the evaluation itself measured; None where it did not."""
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


NAMES = {"linear_probe_top1": "The linear probe", "linear_probe_tokens_top1": "The linear probe on all tokens"}
IMAGES = 500
"""Most test images that a linear probe is credited with."""


def probe_findings(table: Table) -> Iterator[Finding]:
    """One finding for each probe that was measured together with its random encoder."""
    for probe, reference in PROBES.items():
        known = [(cell.mean(probe), cell.mean(reference)) for cell in table.cells]
        pairs = [(value, random) for value, random in known if value is not None and random is not None]
        if pairs:
            asked = [trial.config.get("evaluate.probe_test_images") for cell in table.cells for trial in cell.finished]
            images = min([IMAGES, *(int(value) for value in asked if value)])
            yield _against_random(pairs, images=images, name=NAMES[probe], pixels=table.means(PIXELS))


def _against_random(pairs: list[tuple[float, float]], *, images: int, name: str, pixels: list[float]) -> Finding:
    mean, random = (fmean(column) for column in zip(*pairs, strict=True))
    margins = [accuracy_margin(value, reference, n=images) for value, reference in pairs]
    beaten = sum(value - reference > margin for (value, reference), margin in zip(pairs, margins, strict=True))
    difference, margin = mean - random, fmean(margins)
    figures = f"{mean:.2f} vs {random:.2f}" + (f" on average over {len(pairs)} cells" if len(pairs) > 1 else "")
    figures = f"({figures}, 95 % CI of the difference {signed(difference - margin)} to {signed(difference + margin)}"
    figures += f"; pixels alone give {fmean(pixels):.2f})" if pixels else ")"
    if beaten == len(pairs):
        return Finding(Kind.SUPPORTED, f"{name} beats the random encoder in every cell {figures}.")
    if beaten:
        text = f"{name} beats the random encoder in only {beaten} of {counted(len(pairs), 'cell')} {figures}"
        return Finding(Kind.UNSUPPORTED, f"{text}: no conclusion.")
    verb = "is below" if difference < -margin else "is not shown to beat"
    text = f"{name} {verb} the random encoder {figures}: no conclusion about semantics at this budget."
    return Finding(Kind.UNSUPPORTED, text)
