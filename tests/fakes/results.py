"""Sweeps with made-up results, built from the real values: `sweep(axes, measure=...)`."""

import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.trial.lifecycle import Attempt, State, TrialStatus
from orchestrator.trial.results import SweepResults, TrialResult
from orchestrator.trial.sweep import Member, Scalar, SweepRecord

CPU = {
    "device": "AMD EPYC (AVX512)",
    "dtype": "fp32",
    "threads": 1,
    "ranks": 1,
    "torch": "2.15.0",
    "deterministic": True,
}
GPU = {**CPU, "device": "NVIDIA H200", "deterministic": False}

Levels = Mapping[str, Scalar]
Measure = Callable[[Levels, int], Mapping[str, float]]


def attempt(number: int = 0, *, end: str | None = "finished", seconds: float = 60.0, **fields) -> Attempt:
    """One attempt that ran 100 steps in a minute on a CPU, unless told otherwise."""
    start = 1_000.0 + 1_000.0 * number
    values = {"step": 100, "total_steps": 100, "fingerprint": CPU, **fields}
    return Attempt(number=number, end=end, started_t=start, last_t=start + seconds, **values)


def finished(metrics: Mapping[str, float], *, attempts: Sequence[Attempt] = (), **fields) -> TrialStatus:
    """A finished trial, of one attempt unless told otherwise."""
    ran = tuple(attempts) or (attempt(),)
    return TrialStatus(state=State.FINISHED, metrics=metrics, attempts=ran, step=100, total_steps=100, **fields)


def trial(levels: Levels, *, status: TrialStatus, seed: int = 0, config: Levels | None = None) -> TrialResult:
    """One trial; its id is a hash of its place, so that it is the same every time."""
    conditioning = levels.get("conditioning", "feature")
    known = {"seed": seed, "conditioning.kind": conditioning, "train.steps": 100, **(config or {})}
    name = hashlib.sha256(repr((sorted(levels.items(), key=str), seed)).encode()).hexdigest()[:16]
    return TrialResult(id=name, overrides=levels, config=known, status=status)


def results(trials: Sequence[TrialResult], *, axes: Sequence[str], name: str = "toy", about: str = "") -> SweepResults:
    """A sweep of these trials, written down at second 0 of 2026."""
    members = tuple(Member(item.id, item.overrides) for item in trials)
    record = SweepRecord(
        id=f"{name}-00000000", name=name, axes=tuple(axes), t=1_767_225_600.0, trials=members, about=about
    )
    return SweepResults(record=record, trials=tuple(trials))


def sweep(
    axes: Mapping[str, Sequence[Scalar]],
    *,
    measure: Measure,
    seeds: Sequence[int] = (0,),
    unfinished: Mapping[Any, TrialStatus] | None = None,
    name: str = "toy",
) -> SweepResults:
    """A full factorial: `measure(levels, seed)` gives each trial's metrics.

    `seed` becomes an axis where there are several. `unfinished` gives another status to trials, by (*levels, seed).
    """
    trials = []
    for levels, seed in itertools.product(itertools.product(*axes.values()), seeds):
        place = dict(zip(axes, levels, strict=True))
        status = (unfinished or {}).get((*levels, seed)) or finished(measure(place, seed))
        overrides = {**place, "seed": seed} if len(seeds) > 1 else place
        trials.append(trial(overrides, status=status, seed=seed))
    return results(trials, axes=[*axes, *(["seed"] if len(seeds) > 1 else [])], name=name)
