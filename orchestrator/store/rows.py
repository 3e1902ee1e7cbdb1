"""The store's rows to values and back. Pure."""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from orchestrator.store import status_json
from orchestrator.trial.lifecycle import Point, State, TrialStatus
from orchestrator.trial.results import TrialResult
from orchestrator.trial.sweep import Member, SweepRecord

AT_ONCE = 1_000
"""Texts that are parsed as one: a tenth of the time that each alone would take."""


@dataclass(frozen=True)
class Known:
    """How a trial's files looked when it was last folded: exactly, and at a glance (empty: none that holds)."""

    signature: str
    glance: str = ""


@dataclass(frozen=True)
class Folded:
    """One trial as its files have it: `config` flat, `points` in the order of its history."""

    id: str
    config: Mapping[str, Any]
    status: TrialStatus
    points: Sequence[Point]
    looked: Known


@dataclass(frozen=True, kw_only=True)
class Shipment:
    """What there is to send of a trial, and how much of it has been sent.

    `overrides` holds the trial's place in each sweep, oldest first; `sent_id` the last point that was sent, 0 for none;
    `run_is_stale` says that values were sent which the history has since disowned.
    """

    id: str
    config: Mapping[str, Any]
    status: TrialStatus
    signature: str
    sweeps: tuple[tuple[SweepRecord, Member], ...]
    run_id: str
    sent_id: int
    run_is_stale: bool


class StoredResult(TrialResult):
    """A result that is parsed when somebody asks: a table of ten thousand trials shows a hundred of them."""

    def __init__(self, row: Any, overrides: Mapping[str, Any]) -> None:
        vars(self).update(id=row.id, overrides=overrides, _row=row)

    @cached_property
    def config(self) -> Mapping[str, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return json.loads(vars(self)["_row"].config)

    @cached_property
    def status(self) -> TrialStatus:  # pyright: ignore[reportIncompatibleVariableOverride]
        return status_json.from_json(vars(self)["_row"].status)

    @cached_property
    def state(self) -> State:  # pyright: ignore[reportIncompatibleMethodOverride]
        return State(vars(self)["_row"].state)


def signature_of(result: TrialResult) -> str | None:
    """Of the files behind a stored result; None for one that was made otherwise."""
    row = vars(result).get("_row")
    return row.signature if row else None


def new_trial(folded: Folded) -> dict[str, Any]:
    """The row of a trial that MLflow knows nothing of, with all its points."""
    nothing = {"run_id": "", "sent_id": 0, "sent_signature": "", "run_is_stale": False}
    _, whole = digests(folded.points, count=0)
    return {"id": folded.id, **trial(folded), "points": len(folded.points), "points_digest": whole, **nothing}


def trial(folded: Folded) -> dict[str, Any]:
    """The columns that a trial's files decide, but for its points."""
    return {
        "config": json.dumps(folded.config),
        "state": folded.status.state.value,
        "status": status_json.to_json(folded.status),
        "signature": folded.looked.signature,
    }


def new_points(folded: Folded, *, count: int) -> list[dict[str, Any]]:
    """The rows of the points behind the first `count`."""
    return [
        {
            "trial_id": folded.id,
            "key": point.key,
            "step": point.step,
            "value": None if math.isnan(point.value) else float(point.value),
            "unix_s": point.t,
            "attempt": point.attempt,
        }
        for point in folded.points[count:]
    ]


def digests(history: Sequence[Point], *, count: int) -> tuple[str, str]:
    """The sha256 of the first `count` points and of all."""
    running, kept = hashlib.sha256(), ""
    for place, point in enumerate(history):
        if place == count:
            kept = running.hexdigest()
        running.update(repr((point.key, point.step, float(point.value), point.t, point.attempt)).encode())
    whole = running.hexdigest()
    return kept or whole, whole


def to_point(row: Any) -> Point:
    """A point of its row."""
    value = math.nan if row.value is None else row.value
    return Point(key=row.key, step=row.step, value=value, t=row.unix_s, attempt=row.attempt)


def new_sweep(record: SweepRecord) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The row of a sweep, and those of its trials."""
    row = {"id": record.id, "name": record.name, "about": record.about, "unix_s": record.t}
    row |= {"axes": json.dumps(record.axes), "fixed": json.dumps(record.fixed)}
    members = [
        {"sweep_id": record.id, "position": place, "trial_id": item.id, "overrides": json.dumps(item.overrides)}
        for place, item in enumerate(record.trials)
    ]
    return row, members


def to_record(row: Any, members: Iterable[Member] = ()) -> SweepRecord:
    """A sweep of its row."""
    return SweepRecord(
        id=row.id,
        name=row.name,
        axes=tuple(json.loads(row.axes)),
        t=row.unix_s,
        trials=tuple(members),
        fixed=tuple(json.loads(row.fixed)),
        about=row.about,
    )


def to_members(rows: Sequence[Any]) -> list[Member]:
    """A sweep's trials of their rows."""
    overrides = _parse_all([row.overrides for row in rows])
    return [Member(row.trial_id, inner) for row, inner in zip(rows, overrides, strict=True)]


def to_shipment(row: Any, places: Iterable[Any]) -> Shipment:
    """What there is to send of a trial, of its row and those of its places in sweeps."""
    return Shipment(
        id=row.id,
        config=json.loads(row.config),
        status=status_json.from_json(row.status),
        signature=row.signature,
        sweeps=tuple((to_record(place), Member(row.id, json.loads(place.overrides))) for place in places),
        run_id=row.run_id,
        sent_id=row.sent_id,
        run_is_stale=row.run_is_stale,
    )


def _parse_all(texts: Sequence[str]) -> Iterator[Any]:
    """The values of many small JSON texts."""
    for start in range(0, len(texts), AT_ONCE):
        yield from json.loads(f"[{','.join(texts[start : start + AT_ONCE])}]")
