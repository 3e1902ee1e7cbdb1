"""Compare two runs of one trial bit by bit: the weights, and every metric value that any attempt logged. Pure.

The uninterrupted run logs each (metric, step) once. Every attempt of the interrupted run must log the same value, also
for steps that it repeats. Telemetry is left out.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from iwm_core.events import Evaluated, Event, Step, is_telemetry
from orchestrator.trial.lifecycle import TrialStatus, same

Key = tuple[str, int]
"""A metric and a step."""
SHOWN_MAX = 20
"""Differences that the JSON lists; it counts them all."""


@dataclass(frozen=True, kw_only=True)
class Twin:
    """One of the two runs: its status, every value that each attempt logged, and the signal that ended each attempt."""

    status: TrialStatus
    values: Mapping[int, Mapping[Key, float]]
    signals: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Interruption:
    """An interrupted attempt: the signal, its last logged step, and the step that the next attempt resumed from."""

    signal: str
    step: int
    resumed_from_step: int


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A value that differs from the uninterrupted run's; None where a run did not log it."""

    metric: str
    step: int
    attempt: int
    uninterrupted: float | None
    interrupted: float | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The result of a comparison, with what was compared and guaranteed."""

    trial_id: str
    steps: int
    weights_sha256: tuple[str, str]  # uninterrupted, interrupted
    interruptions: tuple[Interruption, ...]
    metrics: int
    values: int
    repeated_steps: int
    fingerprints: tuple[Mapping[str, Any], ...]  # the distinct ones of all attempts
    differences: tuple[Difference, ...]
    wall_s: tuple[float, float]

    @property
    def promised_bits(self) -> bool:
        """True if bit-identity was promised: every attempt was deterministic, on equal numerics."""
        return len(self.fingerprints) == 1 and bool(self.fingerprints[0].get("deterministic"))

    @property
    def resumed(self) -> bool:
        """True if every attempt after an interruption resumed from a checkpoint instead of step 0."""
        return bool(self.interruptions) and all(one.resumed_from_step > 0 for one in self.interruptions)

    @property
    def equal(self) -> bool:
        """True if the interruptions did not change the result."""
        return self.resumed and not self.differences and len(set(self.weights_sha256)) == 1

    def sentences(self) -> tuple[str, ...]:
        """Three lines for the terminal: what was compared, what was promised, the verdict."""
        return (
            f"compared: the weights, and {self.values} values of {self.metrics} metrics over {self.steps} steps;"
            f" steps computed twice: {self.repeated_steps}",
            f"promised: {self._promise()}",
            f"verdict: {'equal, bit for bit' if self.equal else 'DIFFERENT: ' + '; '.join(self._reasons())}",
        )

    def _promise(self) -> str:
        if self.promised_bits:
            known = self.fingerprints[0]
            numerics = f"{known['device']}, {known['dtype']}, {known['threads']} thread(s), torch {known['torch']}"
            return f"bit-identity, because every attempt was deterministic on equal numerics ({numerics})"
        if len(self.fingerprints) > 1:
            return "equality up to rounding, because the attempts ran on unequal numerics"
        return "equality up to rounding, because train.deterministic is off on this device; set it to true"

    def _reasons(self) -> list[str]:
        reasons = [] if self.resumed else ["an attempt restarted from step 0 instead of resuming"]
        if len(set(self.weights_sha256)) > 1:
            reasons.append("the weights differ")
        if self.differences:
            first = self.differences[0]
            reasons.append(
                f"{len(self.differences)} values differ, the first being {first.metric} at step {first.step}:"
                f" {first.uninterrupted} uninterrupted, {first.interrupted} interrupted (attempt {first.attempt})"
            )
        return reasons

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `iwm verify-resume --json`."""
        straight, broken = self.weights_sha256
        return {
            "verdict": "equal" if self.equal else "different",
            "promised": "bits" if self.promised_bits else "tolerance",
            "trial_id": self.trial_id,
            "steps": self.steps,
            "weights_sha256": {"uninterrupted": straight, "interrupted": broken},
            "interruptions": [asdict(one) for one in self.interruptions],
            "compared": {"metrics": self.metrics, "values": self.values, "repeated_steps": self.repeated_steps},
            "differences": len(self.differences),
            "first_differences": [_plain(one) for one in self.differences[:SHOWN_MAX]],
            "fingerprints": [dict(known) for known in self.fingerprints],
        }


def _plain(difference: Difference) -> dict[str, Any]:
    """JSON has no NaN and no infinity."""
    words = {key: str(value) for key, value in asdict(difference).items() if isinstance(value, float)}
    return asdict(difference) | {key: word for key, word in words.items() if word in ("nan", "inf", "-inf")}


def logged(journals: Mapping[int, Sequence[Event]]) -> dict[int, dict[Key, float]]:
    """Every value that each attempt logged, without telemetry."""
    return {
        number: {
            (metric, event.step): value
            for event in events
            if isinstance(event, Step | Evaluated)
            for metric, value in event.metrics.items()
            if not is_telemetry(metric)
        }
        for number, events in journals.items()
    }


def compare(straight: Twin, broken: Twin, *, trial_id: str, steps: int) -> Comparison:
    """Compares an uninterrupted (`straight`) and an interrupted (`broken`) run of the same trial."""
    expected = _joined(straight.values)
    attempts = [*straight.status.attempts, *broken.status.attempts]
    prints = [attempt.fingerprint for attempt in attempts if attempt.fingerprint]
    return Comparison(
        trial_id=trial_id,
        steps=steps,
        weights_sha256=(straight.status.weights_sha256, broken.status.weights_sha256),
        interruptions=tuple(
            Interruption(
                signal=broken.signals.get(old.number, ""), step=old.step, resumed_from_step=new.resumed_from_step
            )
            for old, new in itertools.pairwise(broken.status.attempts)
        ),
        metrics=len({metric for metric, _ in expected}),
        values=sum(map(len, broken.values.values())),
        repeated_steps=broken.status.repeated_steps,
        fingerprints=tuple(known for place, known in enumerate(prints) if known not in prints[:place]),
        differences=tuple(_differences(expected, broken.values)),
        wall_s=(straight.status.wall_s, broken.status.wall_s),
    )


def _joined(values: Mapping[int, Mapping[Key, float]]) -> dict[Key, float]:
    return {key: value for number in sorted(values) for key, value in values[number].items()}


def _differences(expected: Mapping[Key, float], found: Mapping[int, Mapping[Key, float]]) -> list[Difference]:
    """Values of any attempt that differ, and values that the interrupted run never logged; by step."""
    unequal = [
        Difference(metric=key[0], step=key[1], attempt=number, uninterrupted=expected.get(key), interrupted=value)
        for number, values in found.items()
        for key, value in values.items()
        if key not in expected or not same(expected[key], value)
    ]
    said = _joined(found)
    missing = [
        Difference(metric=key[0], step=key[1], attempt=max(found, default=0), uninterrupted=value, interrupted=None)
        for key, value in expected.items()
        if key not in said
    ]
    return sorted([*unequal, *missing], key=lambda one: (one.step, one.attempt, one.metric))
