"""The results of a sweep: the input of every table, report and page. Pure.

A trial's identity tells how its bits compare to an uninterrupted run:

    exact       a single attempt, or all attempts deterministic on equal numerics
    tolerance   attempts on different numerics or without determinism: equal up to rounding
    drifted     a repeated step gave a different value

Attempts without a fingerprint computed nothing and do not count; a fingerprint without `deterministic` counts as not
deterministic.

GPU hours are wall hours x ranks of the attempts whose fingerprint names a GPU; 0 on a CPU.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.trial.lifecycle import Attempt, State, TrialStatus
from orchestrator.trial.sweep import Scalar, SweepRecord

Identity = Literal["exact", "tolerance", "drifted", ""]
GPU_MAKERS = ("NVIDIA", "Tesla", "GeForce", "AMD Instinct", "AMD Radeon")
"""Prefixes of GPU names; the device of a CPU starts otherwise."""


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """One trial of a sweep: its place on the axes, its configuration (flat, every field) and its status."""

    id: str
    overrides: Mapping[str, Scalar]
    config: Mapping[str, Any]
    status: TrialStatus

    @property
    def state(self) -> State:
        """The trial's state."""
        return self.status.state

    @property
    def seed(self) -> int:
        """The trial's seed."""
        return int(self.config["seed"])


@dataclass(frozen=True, kw_only=True)
class SweepResults:
    """A sweep and its trials, in the sweep's order."""

    record: SweepRecord
    trials: tuple[TrialResult, ...]


def identity(status: TrialStatus) -> Identity:
    """The identity of a trial; empty if no attempt has a fingerprint."""
    if status.drifted:
        return "drifted"
    prints = [attempt.fingerprint for attempt in status.attempts if attempt.fingerprint]
    if not prints:
        return ""
    deterministic = all(known.get("deterministic", False) for known in prints)
    if len(prints) == 1 or (deterministic and status.fingerprints_agree):
        return "exact"
    return "tolerance"


def gpu_hours(status: TrialStatus) -> float:
    """GPU hours of all attempts of a trial."""
    return sum(attempt.wall_s * gpus(attempt) for attempt in status.attempts) / 3600


def gpus(attempt: Attempt) -> int:
    """GPUs that an attempt held: its ranks if its device is a GPU, else 0."""
    on_gpu = str(attempt.fingerprint.get("device", "")).startswith(GPU_MAKERS)
    return int(attempt.fingerprint.get("ranks", 1)) if on_gpu else 0
