"""What a sweep has come to, as values: the input of every table, report and page. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.lifecycle import State, TrialStatus
from orchestrator.sweep import Scalar, SweepRecord


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
