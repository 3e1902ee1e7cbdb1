"""Control events: what the orchestrator records of a trial, each in one small file, renamed into place, never changed.

A lease (`claim`) is the right to start a trial: `claim-NNNN.json` is created exclusively, so one of two submitters
wins. Later events belong to a lease and are numbered within it; their order is (claim, sequence), never a clock.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar


class Cause(StrEnum):
    """The cause of an attempt (or a job before its first attempt) that ended without recording it."""

    PREEMPTED = "preempted"
    REQUEUED = "requeued"
    TIMEOUT = "timeout"
    NODE_FAIL = "node failure"
    OUT_OF_MEMORY = "out of memory"
    KILLED = "killed"
    ERROR = "error"
    VANISHED = "vanished"


@dataclass(frozen=True, kw_only=True)
class ControlEvent:
    """Base of all control events; `t` is the writer's clock in unix seconds."""

    name: ClassVar[str]
    claim: int = 0
    t: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Claimed(ControlEvent):
    """A lease: the right to start the trial with these resources.

    Attributes:
        token: The fencing token, which the job carries.
        after: The id of the trial that must finish before a job is submitted; empty: none.
    """

    name: ClassVar[str] = "claimed"
    token: str = ""
    launcher: str = ""
    host: str = ""
    user: str = ""
    after: str = ""
    resources: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Submitted(ControlEvent):
    """A job was submitted."""

    name: ClassVar[str] = "submitted"
    job_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Held(ControlEvent):
    """The job is held until it is released."""

    name: ClassVar[str] = "held"
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Released(ControlEvent):
    """The job was released."""

    name: ClassVar[str] = "released"


@dataclass(frozen=True, kw_only=True)
class Requeued(ControlEvent):
    """The same job starts again."""

    name: ClassVar[str] = "requeued"
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Lost(ControlEvent):
    """An attempt (-1: none had started) ended without recording it; `cause` is a `Cause`, `node` may be empty."""

    name: ClassVar[str] = "lost"
    attempt: int = -1
    reason: str = ""
    cause: str = Cause.VANISHED.value
    node: str = ""


@dataclass(frozen=True, kw_only=True)
class Withdrawn(ControlEvent):
    """The lease is void since no job could be submitted: the trial is as before."""

    name: ClassVar[str] = "withdrawn"
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Cancelled(ControlEvent):
    """A user cancelled the trial."""

    name: ClassVar[str] = "cancelled"
    by: str = ""


KINDS: dict[str, type[ControlEvent]] = {
    kind.name: kind for kind in (Claimed, Submitted, Held, Released, Requeued, Lost, Cancelled, Withdrawn)
}


def to_dict(event: ControlEvent) -> dict[str, Any]:
    """Plain JSON."""
    return {"event": event.name, **dataclasses.asdict(event)}


def from_dict(raw: Mapping[str, Any]) -> ControlEvent | None:
    """The event; None for a kind that this version does not know."""
    kind = KINDS.get(raw["event"])
    if kind is None:
        return None
    known = {spec.name for spec in dataclasses.fields(kind)}
    return kind(**{key: value for key, value in raw.items() if key in known})
