"""The cost of trials and of their interruptions, that is the steps that were computed more than once. Pure.

    repeated steps of an interruption = step that was reached - step that the next attempt resumed from    (at least 0)
    repeated seconds = repeated steps x seconds per step of the interrupted attempt x its GPUs (1 on a CPU)

An attempt reached the last step that it logged: a killed one may have gone further, up to the next log line.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, fields

from orchestrator.trial.lifecycle import Attempt, TrialStatus
from orchestrator.trial.results import SweepResults, gpu_hours, gpus


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The use of one or many trials so far."""

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
    """The sum, field by field."""
    known = list(costs)
    return Cost(**{field.name: sum(getattr(cost, field.name) for cost in known) for field in fields(Cost)})


@dataclass(frozen=True, kw_only=True)
class Interruption:
    """The end of an attempt that was followed by another one."""

    cause: str
    repeated_steps: int
    seconds: float


def interruptions(results: SweepResults) -> list[Interruption]:
    """Every interruption of every trial, in the sweep's order."""
    return [found for trial in results.trials for found in interruptions_of(trial.status)]


def interruptions_of(status: TrialStatus) -> list[Interruption]:
    """The interruptions of one trial; an attempt that never came to its first step repeats nothing."""
    begun = [attempt for attempt in status.attempts if attempt.has_begun]
    return [_interruption(old, new) for old, new in itertools.pairwise(begun)]


def _interruption(old: Attempt, new: Attempt) -> Interruption:
    repeated = max(0, old.step - new.resumed_from_step)
    step_s = old.wall_s / max(1, old.step - old.resumed_from_step)  # start-up is in it: too much rather than too little
    return Interruption(
        cause=old.cause or old.end or "unknown",
        repeated_steps=repeated,
        seconds=repeated * step_s * max(1, gpus(old)),
    )
