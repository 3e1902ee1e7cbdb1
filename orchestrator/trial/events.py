"""What the orchestrator can say about a trial: one small file per event, renamed into place, never changed.

A claim is the right to start a trial: `claim-NNNN.json` is created exclusively, so of two submitters one wins. Later
events belong to a claim and count up within it; the order of things is (claim, sequence), never a clock.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar


class Cause(StrEnum):
    """Why an attempt, or the job that was to make one, ended without a word of its own."""

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
    """Somebody won the right to start the trial, with these resources. `token` travels with the job.

    `after` is the id of the trial that has to finish first: until then there is no job. Empty: none has to.
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
    """A job exists."""

    name: ClassVar[str] = "submitted"
    job_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Held(ControlEvent):
    """The job waits for a release."""

    name: ClassVar[str] = "held"
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Released(ControlEvent):
    """The hold ended."""

    name: ClassVar[str] = "released"


@dataclass(frozen=True, kw_only=True)
class Requeued(ControlEvent):
    """The same job will start again."""

    name: ClassVar[str] = "requeued"
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Lost(ControlEvent):
    """An attempt (-1: none had started) ended without a word. `cause` is a `Cause`, `node` where it ran, if known."""

    name: ClassVar[str] = "lost"
    attempt: int = -1
    reason: str = ""
    cause: str = Cause.VANISHED.value
    node: str = ""


@dataclass(frozen=True, kw_only=True)
class Withdrawn(ControlEvent):
    """The claim came to nothing, since no job was to be had for it: the trial is as it was before."""

    name: ClassVar[str] = "withdrawn"
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Cancelled(ControlEvent):
    """Somebody ended the trial on purpose."""

    name: ClassVar[str] = "cancelled"
    by: str = ""


KINDS: dict[str, type[ControlEvent]] = {
    kind.name: kind for kind in (Claimed, Submitted, Held, Released, Requeued, Lost, Cancelled, Withdrawn)
}


def to_dict(event: ControlEvent) -> dict[str, Any]:
    """Plain JSON."""
    return {"event": event.name, **dataclasses.asdict(event)}


def from_dict(raw: Mapping[str, Any]) -> ControlEvent | None:
    """The event; None for one that this version does not know."""
    kind = KINDS.get(raw["event"])
    if kind is None:
        return None
    known = {spec.name for spec in dataclasses.fields(kind)}
    return kind(**{key: value for key, value in raw.items() if key in known})
