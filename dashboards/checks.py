"""What must hold before a table may be read at all, as sentences. Pure.

missing     cells without a finished trial are named by their number; no sentence speaks of them
blind       MRR without conditioning lies within FLOOR_TOLERANCE of its floor H_K / K; else the protocol leaks
collapsed   a trial whose `collapse_alarm` is on at its end has constant targets, and its MRR means nothing
drifted     a repeated step gave another value than before
numerics    trials of one table ran on different arithmetic

And what the linear probe says about semantics:

beats       the probe p is above the same probe on a random encoder r by more than 2 sqrt((p (1 - p) + r (1 - r)) / n)
supported   in every cell; else no sentence about semantics is

[OURS] Two standard errors of the difference of two accuracies on n = 500 test images; tests that have more are judged
with care.
"""

import math
from collections import Counter
from collections.abc import Iterator
from statistics import fmean

from dashboards.ablation import Cell, Table
from dashboards.verdict import Finding, Kind
from dashboards.wording import counted, listed, plain
from orchestrator.trial.lifecycle import State

MRR, FLOOR, PATCHWISE = "mrr", "mrr_floor", "mrr_patchwise"
FLOOR_TOLERANCE = 0.01


def is_blind(cell: Cell) -> bool:
    """The predictor never sees the action."""
    return all(trial.config.get("conditioning.kind") == "none" for trial in cell.trials)


def is_collapsed(cell: Cell) -> bool:
    """The alarm of any of its trials was on at the end."""
    return any(trial.status.metrics.get("collapse_alarm") for trial in cell.finished)


def above_floor(cell: Cell) -> bool:
    """The cell's mean MRR is further above its floor than the tolerance."""
    mrr, floor = cell.mean(MRR), cell.mean(FLOOR)
    return mrr is not None and math.isfinite(mrr) and (floor is None or mrr - floor > FLOOR_TOLERANCE)


def checks(table: Table) -> Iterator[Finding]:
    """Every check that has something to say."""
    yield from _missing(table)
    yield from _blind(table)
    yield from _collapsed(table)
    yield from _drifted(table)
    yield from _numerics(table)


def _missing(table: Table) -> Iterator[Finding]:
    empty = [cell for cell in table.cells if not cell.finished]
    if not empty:
        return
    states = Counter(trial.status.state for cell in empty for trial in cell.trials)
    known = listed(f"{states[state]} {state.value}" for state in State if states[state])
    have = "has" if len(empty) == 1 else "have"
    text = (
        f"{len(empty)} of {counted(len(table.cells), 'cell')} {have} no finished trial ({known}); the rest is judged."
    )
    yield Finding(Kind.CHECK, text)


def _blind(table: Table) -> Iterator[Finding]:
    blind = [cell for cell in table.cells if is_blind(cell) and cell.mean(MRR) is not None]
    pairs = [(cell.mean(MRR) or 0.0, cell.mean(FLOOR) or 0.0) for cell in blind if cell.mean(FLOOR) is not None]
    if not pairs:
        return
    mrr, floor = (fmean(column) for column in zip(*pairs, strict=True))
    if all(abs(value - bottom) <= FLOOR_TOLERANCE for value, bottom in pairs):
        text = (
            f"Without conditioning MRR is {mrr:.3f}, its floor is {floor:.3f}: a predictor blind to the action cannot "
            "tell the views apart (a check of the protocol, no finding)."
        )
    else:
        worst, bottom = max(pairs, key=lambda pair: abs(pair[0] - pair[1]))
        text = (
            f"Without conditioning MRR reaches {worst:.3f}, but its floor is {bottom:.3f}: a predictor blind to the "
            f"action has to stay within {FLOOR_TOLERANCE} of it, so something leaks and no MRR here can be trusted."
        )
    yield Finding(Kind.CHECK, text)


def _collapsed(table: Table) -> Iterator[Finding]:
    ids = [
        trial.id[:8] for cell in table.cells for trial in cell.finished if trial.status.metrics.get("collapse_alarm")
    ]
    if ids:
        who = f"{counted(len(ids), 'trial')} collapsed ({listed(ids)})"
        text = f"{who}: targets hardly differ between images, and MRR there means nothing."
        yield Finding(Kind.CHECK, text)


def _drifted(table: Table) -> Iterator[Finding]:
    for cell in table.cells:
        for trial in cell.everything:
            if trial.status.drifted:
                metrics = listed(plain(metric) for metric in trial.status.drifted)
                text = f"Trial {trial.id[:8]} drifted: repeated steps gave other values of {metrics}."
                yield Finding(Kind.CHECK, f"{text} The first ones count.")


def _numerics(table: Table) -> Iterator[Finding]:
    """Precision and threads are the trial's own, so only where it ran is compared."""
    attempts = [attempt for cell in table.cells for trial in cell.everything for attempt in trial.status.attempts]
    prints = [attempt.fingerprint for attempt in attempts if attempt.fingerprint]
    differing = [key for key in ("device", "ranks", "torch") if len({str(item.get(key)) for item in prints}) > 1]
    if differing:
        text = f"Trials ran on different numerics ({listed(differing)}): part of a difference may be the arithmetic's."
        yield Finding(Kind.CHECK, text)


PROBES = {
    "linear_probe_top1": ("The linear probe", "random_probe_top1"),
    "linear_probe_tokens_top1": ("The linear probe on all tokens", "random_probe_tokens_top1"),
}
PIXELS = "pixel_probe_top1"
IMAGES = 500


def probe_findings(table: Table) -> Iterator[Finding]:
    """One sentence per probe that stands beside its random encoder."""
    for probe, (name, reference) in PROBES.items():
        known = [(cell.mean(probe), cell.mean(reference), cell.mean(PIXELS)) for cell in table.cells]
        pairs = [(value, random) for value, random, _ in known if value is not None and random is not None]
        if pairs:
            yield _against_random(pairs, name=name, pixels=[pixel for *_, pixel in known if pixel is not None])


def margin(value: float, reference: float) -> float:
    """How far two accuracies have to be apart."""
    return 2 * math.sqrt((value * (1 - value) + reference * (1 - reference)) / IMAGES)


def _against_random(pairs: list[tuple[float, float]], *, name: str, pixels: list[float]) -> Finding:
    mean, random = (fmean(column) for column in zip(*pairs, strict=True))
    beaten = [value for value, bottom in pairs if value - bottom > margin(value, bottom)]
    beside = f"; pixels alone give {fmean(pixels):.2f}" if pixels else ""
    figures = f"({mean:.2f} against {random:.2f} on average over {counted(len(pairs), 'cell')}{beside})"
    if len(beaten) == len(pairs):
        return Finding(Kind.SUPPORTED, f"{name} beats the random encoder in every cell {figures}.")
    if beaten:
        text = f"{name} beats the random encoder in {len(beaten)} of {len(pairs)} cells only {figures}: no conclusion."
    else:
        text = (
            f"{name} does not beat the random encoder {figures}: "
            "nothing about semantics can be concluded at this budget."
        )
    return Finding(Kind.UNSUPPORTED, text)
