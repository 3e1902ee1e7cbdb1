"""What interruptions have cost: which steps were computed more than once, for how long, and why. Pure.

    repeated steps of an interruption = steps it had come to - step that the next attempt resumed from     (at least 0)
    repeated seconds = repeated steps x seconds per step of the attempt that was interrupted x its GPUs (1 on a CPU)

The steps that an attempt had come to are those it wrote down: a killed one may have gone up to a log line further.
"""

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from dashboards.document import Grid
from orchestrator.trial.lifecycle import Attempt, TrialStatus
from orchestrator.trial.results import SweepResults, gpus


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One interruption of one trial."""

    trial_id: str
    attempt: int
    cause: str
    node: str
    step: int
    resumed_from_step: int
    seconds: float

    @property
    def repeated_steps(self) -> int:
        """Steps that the next attempt computed again."""
        return max(0, self.step - self.resumed_from_step)


def entries(results: SweepResults) -> list[Entry]:
    """Every interruption of every trial, in the sweep's order."""
    return [entry for trial in results.trials for entry in entries_of(trial.id, trial.status)]


def entries_of(trial_id: str, status: TrialStatus) -> list[Entry]:
    """The interruptions of one trial; an attempt that never came to its first step repeats nothing."""
    begun = [attempt for attempt in status.attempts if attempt.has_begun]
    return [_entry(trial_id, old, new) for old, new in itertools.pairwise(begun)]


def _entry(trial_id: str, old: Attempt, new: Attempt) -> Entry:
    repeated = max(0, old.step - new.resumed_from_step)
    return Entry(
        trial_id=trial_id,
        attempt=old.number,
        cause=old.cause or old.end or "unknown",
        node=old.host,
        step=old.step,
        resumed_from_step=new.resumed_from_step,
        seconds=repeated * seconds_per_step(old) * max(1, gpus(old)),
    )


def seconds_per_step(attempt: Attempt) -> float:
    """From its first line to its last; start-up is in it, so this is rather too much than too little."""
    return attempt.wall_s / max(1, attempt.step - attempt.resumed_from_step)


def by_cause(found: Iterable[Entry]) -> Grid:
    """One row per cause, the dearest first, and a sum."""
    known = list(found)
    seconds: Counter[str] = Counter()
    steps: Counter[str] = Counter()
    times: Counter[str] = Counter()
    for entry in known:
        seconds[entry.cause] += entry.seconds  # pyright: ignore[reportArgumentType]
        steps[entry.cause] += entry.repeated_steps
        times[entry.cause] += 1
    rows = [(cause, str(times[cause]), str(steps[cause]), f"{spent:.1f}") for cause, spent in seconds.most_common()]
    total = ("all", str(len(known)), str(sum(steps.values())), f"{sum(seconds.values()):.1f}")
    return Grid(
        caption="Work repeated after interruptions.",
        header=("cause", "interruptions", "steps repeated", "GPU-seconds repeated"),
        rows=(*rows, total),
        labels=1,
    )
