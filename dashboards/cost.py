"""What trials have cost. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.trial.lifecycle import TrialStatus
from orchestrator.trial.results import gpu_hours


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one or many trials have used so far."""

    trials: int = 0
    attempts: int = 0
    preemptions: int = 0
    repeated_steps: int = 0
    wall_hours: float = 0.0
    gpu_hours: float = 0.0


def cost_of(status: TrialStatus) -> Cost:
    """The cost of one trial, over all its attempts."""
    return Cost(
        trials=1,
        attempts=len(status.attempts),
        preemptions=status.preemptions,
        repeated_steps=status.repeated_steps,
        wall_hours=status.wall_s / 3600,
        gpu_hours=gpu_hours(status),
    )


def total(costs: Iterable[Cost]) -> Cost:
    """All of them together."""
    known = list(costs)
    return Cost(
        trials=sum(cost.trials for cost in known),
        attempts=sum(cost.attempts for cost in known),
        preemptions=sum(cost.preemptions for cost in known),
        repeated_steps=sum(cost.repeated_steps for cost in known),
        wall_hours=sum(cost.wall_hours for cost in known),
        gpu_hours=sum(cost.gpu_hours for cost in known),
    )
