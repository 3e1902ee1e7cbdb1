"""What trials have cost. Pure.

GPU hours = wall hours x ranks, of the attempts whose fingerprint names a GPU; 0 on a CPU
"""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.lifecycle import Attempt, TrialStatus

GPU_MAKERS = ("NVIDIA", "Tesla", "GeForce", "AMD Instinct", "AMD Radeon")
"""How a GPU's own name begins; a CPU's is followed by its vector unit instead."""


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
        gpu_hours=sum(attempt.wall_s * gpus(attempt) for attempt in status.attempts) / 3600,
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


def gpus(attempt: Attempt) -> int:
    """GPUs that an attempt held: its ranks where its device is a GPU."""
    on_gpu = str(attempt.fingerprint.get("device", "")).startswith(GPU_MAKERS)
    return int(attempt.fingerprint.get("ranks", 1)) if on_gpu else 0
