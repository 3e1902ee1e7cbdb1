"""The events of a training run. One event is one JSON line: `{"t": unix seconds, "event": name, ...fields}`.

The core emits events through `RunCallbacks`; the orchestrator appends them to the attempt's journal. Readers ignore
unknown fields and unknown events, so an older reader can read a newer writer's journal.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events; `t` is the writer's clock in Unix seconds (0: not stamped yet)."""

    name: ClassVar[str]
    t: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    """An attempt began.

    `skipped` lists unusable checkpoints with the reason. `older_bytes` has the length of each older attempt's journal
    at this moment; what an older attempt writes later is never read.
    """

    name: ClassVar[str] = "started"
    attempt: int = 0
    job_id: str = ""
    restart: int = 0
    host: str = ""
    pid: int = 0
    claim: int = 0
    resumed_from_step: int = 0
    total_steps: int = 0
    skipped: list[str] = field(default_factory=list)
    older_bytes: dict[str, int] = field(default_factory=dict)
    fingerprint: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Step(Event):
    """Metrics after `step` steps."""

    name: ClassVar[str] = "step"
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Sampled(Event):
    """Machine metrics near `step`: telemetry, not part of the trial's result."""

    name: ClassVar[str] = "sampled"
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Checkpoint(Event):
    """The checkpoint of `step` is durable on disk."""

    name: ClassVar[str] = "checkpoint"
    step: int = 0
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class Evaluated(Event):
    """A protocol was run on the weights of `step` steps."""

    name: ClassVar[str] = "evaluated"
    step: int = 0
    protocol: str = ""
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Preempted(Event):
    """The attempt was asked to stop and wrote a checkpoint at `step`."""

    name: ClassVar[str] = "preempted"
    step: int = 0
    signal: str = ""


@dataclass(frozen=True, kw_only=True)
class Finished(Event):
    """The trial is complete."""

    name: ClassVar[str] = "finished"
    step: int = 0
    weights_sha256: str = ""
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    """The attempt ended in an error."""

    name: ClassVar[str] = "failed"
    step: int = 0
    error: str = ""
    traceback: str = ""


@dataclass(frozen=True, kw_only=True)
class RunCallbacks:
    """The connection between a run and the process around it. The defaults ignore everything and never stop the run.

    Attributes:
        on_start: Called once before the first step with the step to resume from, one sentence per unusable checkpoint,
            and the numerics fingerprint.
        emit: Called with every event, in order.
        should_stop: Called once per step; the name of a signal stops the run at its next checkpoint, None continues.
    """

    on_start: Callable[[int, list[str], dict[str, Any]], None] = lambda step, skipped, fingerprint: None
    emit: Callable[[Event], None] = lambda event: None
    should_stop: Callable[[], str | None] = lambda: None


KINDS: dict[str, type[Event]] = {
    kind.name: kind for kind in (Started, Step, Sampled, Checkpoint, Evaluated, Preempted, Finished, Failed)
}

TELEMETRY = frozenset({"images_per_s", "data_wait_share", "starving_alarm", "mfu", "train_s", "evaluate_s"})
"""Metrics that depend on the wall clock. Equal runs differ in them, so they are never compared."""
SYSTEM = "system/"
"""Prefix of machine metrics, which are telemetry too."""

_WORDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def is_telemetry(metric: str) -> bool:
    """Return True for a metric in which two equal runs may differ."""
    return metric in TELEMETRY or metric.startswith(SYSTEM)


def to_json(event: Event) -> str:
    """Return one line of JSON without the newline. NaN and infinity become strings, since JSON has no such numbers."""
    fields = {key: value for key, value in dataclasses.asdict(event).items() if key != "t"}
    return json.dumps({"t": event.t, "event": event.name, **_worded(fields)}, allow_nan=False)


def from_json(line: str | bytes) -> Event | None:
    """Parse one line; return None for an event that this version does not know.

    Raises:
        ValueError: the line is not a JSON object with an event, for instance a torn line.
    """
    raw = json.loads(line)
    if not isinstance(raw, dict) or "event" not in raw:
        raise ValueError(f"not an event: {line[:80]!r}")
    kind = KINDS.get(raw["event"])
    if kind is None:
        return None
    known = {spec.name for spec in dataclasses.fields(kind)}
    fields = {key: value for key, value in raw.items() if key in known}
    if "metrics" in fields:
        fields["metrics"] = {key: _WORDS.get(str(value), value) for key, value in fields["metrics"].items()}
    return kind(**fields)


def _worded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _worded(inner) for key, inner in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value
