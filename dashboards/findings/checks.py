"""The validity checks of a table, as sentences. Pure.

missing     some cells have no finished trial; they are counted, and no finding covers them
blind       MRR without conditioning lies within FLOOR_TOLERANCE of its floor H_K / K; else the protocol leaks
collapsed   a trial whose `collapse_alarm` is on at its end has constant targets, so its MRR is meaningless
drifted     a repeated step gave another value than before
numerics    trials of one table ran on different arithmetic
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

from dashboards.cells import FLOOR, MRR, Table
from dashboards.wording import counted, listed, plain
from orchestrator.trial.lifecycle import State

FLOOR_TOLERANCE = 0.01


class Kind(StrEnum):
    """The part of the report that a finding belongs to."""

    CHECK = "check"
    SUPPORTED = "supported"
    UNSUPPORTED = "unsupported"
    NEXT = "next"


@dataclass(frozen=True)
class Finding:
    """One sentence that follows from the numbers by a stated rule; backticks mark `code`."""

    kind: Kind
    text: str


def checks(table: Table) -> Iterator[Finding]:
    """A finding for each check that fails, and for the blind cells."""
    for check in (_missing, _blind, _collapsed, _drifted, _numerics):
        yield from (Finding(Kind.CHECK, text) for text in check(table))


def _missing(table: Table) -> Iterator[str]:
    if empty := [cell for cell in table.cells if not cell.finished]:
        states = Counter(trial.status.state for cell in empty for trial in cell.trials)
        known = listed(f"{states[state]} {state.value}" for state in State if states[state])
        have = "has" if len(empty) == 1 else "have"
        cells = f"{len(empty)} of {counted(len(table.cells), 'cell')}"
        yield f"{cells} {have} no finished trial ({known}); the findings cover the other cells."


def _blind(table: Table) -> Iterator[str]:
    means = ((cell.mean(MRR), cell.mean(FLOOR)) for cell in table.cells if cell.is_blind)
    pairs = [(mrr, floor) for mrr, floor in means if mrr is not None and floor is not None]
    if not pairs:
        return
    if all(abs(mrr - floor) <= FLOOR_TOLERANCE for mrr, floor in pairs):
        mrr, floor = (fmean(column) for column in zip(*pairs, strict=True))
        yield (
            f"Without conditioning MRR is {mrr:.3f} and its floor {floor:.3f}: a predictor blind to the action cannot "
            "tell the views apart (a check of the protocol, not a finding)."
        )
    else:
        mrr, floor = max(pairs, key=lambda pair: abs(pair[0] - pair[1]))
        yield (
            f"Without conditioning MRR is {mrr:.3f}, but its floor is {floor:.3f}: a predictor blind to the action "
            f"must stay within {FLOOR_TOLERANCE} of it. The protocol leaks, so no MRR of this sweep is valid."
        )


def _collapsed(table: Table) -> Iterator[str]:
    finished = (trial for cell in table.cells for trial in cell.finished)
    if ids := [trial.id[:8] for trial in finished if trial.status.metrics.get("collapse_alarm")]:
        collapsed = f"{counted(len(ids), 'trial')} collapsed ({listed(ids)})"
        yield f"{collapsed}: targets hardly differ between images, so MRR is meaningless there."


def _drifted(table: Table) -> Iterator[str]:
    for trial in (trial for cell in table.cells for trial in cell.everything if trial.status.drifted):
        metrics = listed(plain(metric) for metric in trial.status.drifted)
        drift = f"Trial {trial.id[:8]} drifted: repeated steps gave different values of {metrics}."
        yield f"{drift} The report uses the first ones."


def _numerics(table: Table) -> Iterator[str]:
    """Precision and threads are settings of the trial, so only where it ran is compared."""
    attempts = [attempt for cell in table.cells for trial in cell.everything for attempt in trial.status.attempts]
    prints = [attempt.fingerprint for attempt in attempts if attempt.fingerprint]
    differing = [key for key in ("device", "ranks", "torch") if len({str(item.get(key)) for item in prints}) > 1]
    if differing:
        yield f"Trials ran on different numerics ({listed(differing)}): differences may be partly numerical."
