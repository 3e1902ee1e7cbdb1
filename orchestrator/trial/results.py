"""What a sweep has come to, as values: the input of every table, report and page. Pure.

How far a trial's bits can be trusted after an interruption is its identity:

    exact       one attempt began, or every one ran deterministically on equal numerics
    tolerance   attempts on other numerics, or without determinism: equal up to rounding
    drifted     a repeated step gave another value

An attempt that never began has no fingerprint and computed nothing, so it is left out; a fingerprint that does not
speak of determinism promises none.

GPU hours are wall hours x ranks, of the attempts whose fingerprint names a GPU; 0 on a CPU.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.trial.lifecycle import Attempt, State, TrialStatus
from orchestrator.trial.sweep import Scalar, SweepRecord

Identity = Literal["exact", "tolerance", "drifted", ""]
GPU_MAKERS = ("NVIDIA", "Tesla", "GeForce", "AMD Instinct", "AMD Radeon")
"""How a GPU's own name begins; a CPU's is followed by its vector unit instead."""


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """One trial of a sweep: its place on the axes, its configuration (flat, every field) and its status."""

    id: str
    overrides: Mapping[str, Scalar]
    config: Mapping[str, Any]
    status: TrialStatus

    @property
    def state(self) -> State:
        """Where the trial stands."""
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
    """What is promised of a trial's bits; nothing where no attempt has begun."""
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
    """Of all attempts of a trial."""
    return sum(attempt.wall_s * gpus(attempt) for attempt in status.attempts) / 3600


def gpus(attempt: Attempt) -> int:
    """GPUs that an attempt held: its ranks where its device is a GPU."""
    on_gpu = str(attempt.fingerprint.get("device", "")).startswith(GPU_MAKERS)
    return int(attempt.fingerprint.get("ranks", 1)) if on_gpu else 0
