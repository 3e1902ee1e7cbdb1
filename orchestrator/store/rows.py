"""Rows of the store to values and back. Pure."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from orchestrator.records.scan import FileStats
from orchestrator.store import status_json
from orchestrator.trial.lifecycle import Point, State, TrialStatus
from orchestrator.trial.results import TrialResult
from orchestrator.trial.sweep import Member, SweepRecord


@dataclass(frozen=True)
class Folded:
    """One trial as its files have it: `config` flat, `points` in the order of its history."""

    id: str
    config: Mapping[str, Any]
    status: TrialStatus
    points: Sequence[Point]
    stats: FileStats


@dataclass(frozen=True, kw_only=True)
class Shipment:
    """A trial to be sent to MLflow, and how much of it has been sent.

    Attributes:
        sweeps: The trial's place in each of its sweeps, the oldest sweep first; the records list no trials.
        run_id: The trial's run; empty if it has none.
        sent_id: The last point that was sent; 0 for none.
        run_is_stale: True if the run holds values that are no longer in the history.
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
    """A result whose JSON is parsed on first use: a table of ten thousand trials shows a hundred of them."""

    def __init__(self, row: Any, overrides: Mapping[str, Any]) -> None:
        vars(self).update(id=row.id, overrides=overrides, row=row)

    @cached_property
    def config(self) -> Mapping[str, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return json.loads(vars(self)["row"].config)

    @cached_property
    def status(self) -> TrialStatus:  # pyright: ignore[reportIncompatibleVariableOverride]
        return status_json.from_json(vars(self)["row"].status)

    @cached_property
    def state(self) -> State:  # pyright: ignore[reportIncompatibleMethodOverride]
        return State(vars(self)["row"].state)


def signature_of(result: TrialResult) -> str | None:
    """The signature of the files behind a stored result; None for any other result."""
    row = vars(result).get("row")
    return row.signature if row else None


def trial(folded: Folded, *, digest: str = "") -> dict[str, Any]:
    """The columns that a trial's files determine; `digest` is that of its points, if known."""
    return {
        "config": json.dumps(folded.config),
        "state": folded.status.state.value,
        "status": status_json.to_json(folded.status),
        "signature": folded.stats.signature,
        "points": len(folded.points),
        "points_digest": digest or digests(folded.points, count=0)[1],
    }


def new_points(folded: Folded, *, count: int) -> list[dict[str, Any]]:
    """The rows of the points after the first `count`."""
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


def to_point(row: Any) -> Point:
    """The point of a row."""
    value = math.nan if row.value is None else row.value
    return Point(key=row.key, step=row.step, value=value, t=row.unix_s, attempt=row.attempt)


def digests(history: Sequence[Point], *, count: int) -> tuple[str, str]:
    """The sha256 of the first `count` points and of all."""
    running, kept = hashlib.sha256(), ""
    for place, point in enumerate(history):
        if place == count:
            kept = running.hexdigest()
        running.update(repr((point.key, point.step, float(point.value), point.t, point.attempt)).encode())
    whole = running.hexdigest()
    return kept or whole, whole


def new_sweep(record: SweepRecord) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The row of a sweep and those of its trials."""
    raw = record.to_dict()
    members = [
        {"sweep_id": record.id, "position": place, "trial_id": item["id"], "overrides": json.dumps(item["overrides"])}
        for place, item in enumerate(raw.pop("trials"))
    ]
    return {"id": record.id, "name": record.name, "unix_s": record.t, "record": json.dumps(raw)}, members


def to_record(row: Any, members: Iterable[Mapping[str, Any]] = ()) -> SweepRecord:
    """The sweep of a row, with these of its trials."""
    return SweepRecord.from_dict({**json.loads(row.record), "trials": members})


def to_members(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """A sweep's trials as `sweep.json` lists them. One long text is parsed ten times faster than many short ones."""
    overrides = json.loads(f"[{','.join(row.overrides for row in rows)}]")
    return [{"id": row.trial_id, "overrides": inner} for row, inner in zip(rows, overrides, strict=True)]


def to_shipment(row: Any, places: Iterable[Any]) -> Shipment:
    """The shipment of a trial's row and the rows of its places in sweeps."""
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
