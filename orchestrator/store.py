"""What the files amount to, in SQL: a projection, which can be deleted and made again.

`projection.refresh` writes here what changed on disk; tables, reports and `gather` read. SQLite by default, PostgreSQL
by URL. A trial is projected in one transaction, and only over the state that the writer had seen before it read the
files, so that of two concurrent writers the one with the older view gives way.

Points are kept in the order of the trial's history, and a history only grows at its end. Where one nevertheless changed
in what it had (an attempt's last lines were disowned by a newer one, a journal was restored) the digest of the stored
part says so: the trial's points are replaced as a whole, and `run_is_stale` tells `gather` to begin a new run.
"""

import contextlib
import hashlib
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from sqlalchemy import ColumnElement, Connection, Engine, Row, Table, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from orchestrator import status_json
from orchestrator.errors import UnknownSweepError, UnknownTrialError
from orchestrator.lifecycle import Point, State, TrialStatus
from orchestrator.migrations.opening import open_engine, transaction
from orchestrator.migrations.schema import destination, points, sweep_trials, sweeps, trials
from orchestrator.results import SweepResults, TrialResult
from orchestrator.run_card import Shipment
from orchestrator.sweep import Member, SweepRecord

SINGLE = SweepRecord(id="(no sweep)", name="(no sweep)", axes=(), t=0.0, trials=())
"""Stands for the sweep of trials that belong to none."""

_INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_CHUNK = 10_000
"""Rows that are sent to the driver at once."""


@dataclass(frozen=True, kw_only=True)
class Folded:
    """One trial as its files have it: `config` flat, `points` in the order of its history."""

    id: str
    config: Mapping[str, Any]
    status: TrialStatus
    points: Sequence[Point]
    signature: str


class Store:
    """The database. One object per process; safe to use from several processes at once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> Self:
        """The store at this URL, with its tables made or migrated.

        Raises:
            DatabaseError: out of reach, not writable, no database of ours, or of a newer version.
        """
        return cls(open_engine(url))

    def close(self) -> None:
        """Lets go of the connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # What a projection writes.

    def put_sweep(self, record: SweepRecord) -> None:
        """Keeps a sweep; one that is already there stays as it is. Its trials get new tags in MLflow."""
        row = {"id": record.id, "name": record.name, "about": record.about, "unix_s": record.t}
        row |= {"axes": json.dumps(record.axes), "fixed": json.dumps(record.fixed)}
        members = [
            {"sweep_id": record.id, "position": place, "trial_id": item.id, "overrides": json.dumps(item.overrides)}
            for place, item in enumerate(record.trials)
        ]
        with self._write() as connection:
            if self._insert_new(connection, sweeps, row) and members:
                connection.execute(insert(sweep_trials), members)
                inside = select(sweep_trials.c.trial_id).where(sweep_trials.c.sweep_id == record.id)
                connection.execute(update(trials).where(trials.c.id.in_(inside)).values(sent_signature=""))

    def put_trial(self, folded: Folded, *, seen: str | None) -> bool:
        """Keeps a trial, unless somebody else has since this writer had `seen` its signature (None: no such trial)."""
        with self._write() as connection:
            stored = connection.execute(
                select(trials.c.signature, trials.c.points, trials.c.points_digest)
                .where(trials.c.id == folded.id)
                .with_for_update()
            ).one_or_none()
            if (stored.signature if stored else None) != seen:
                return False
            if stored is None and not self._insert_new(connection, trials, _new_trial(folded)):
                return False
            _put_points(
                connection, folded, count=stored.points if stored else 0, digest=stored.points_digest if stored else ""
            )
            return True

    def forget(self, *, sweep_ids: Collection[str] = (), trial_ids: Collection[str] = ()) -> None:
        """Drops what has no file any more."""
        with self._write() as connection:
            for part in _chunks(list(sweep_ids)):
                connection.execute(delete(sweeps).where(sweeps.c.id.in_(part)))
            for part in _chunks(list(trial_ids)):
                connection.execute(delete(trials).where(trials.c.id.in_(part)))

    def reset(self) -> None:
        """Empties every table."""
        with self._write() as connection:
            for table in (points, trials, sweep_trials, sweeps, destination):
                connection.execute(delete(table))

    # What tables, reports and pages read.

    def signatures(self) -> dict[str, str]:
        """The signature of the files that each trial was folded from, by trial id."""
        with self._read() as connection:
            return {row.id: row.signature for row in connection.execute(select(trials.c.id, trials.c.signature))}

    def trial_ids(self, *, states: Collection[State] | None = None) -> list[str]:
        """The trials in these states (None: in any), ascending."""
        query = select(trials.c.id).order_by(trials.c.id)
        if states is not None:
            query = query.where(trials.c.state.in_(sorted(states)))
        with self._read() as connection:
            return list(connection.scalars(query))

    def states(self, trial_ids: Iterable[str] | None = None) -> dict[str, State]:
        """The state of each of these trials (None: of all); one that is not known is left out."""
        query = select(trials.c.id, trials.c.state)
        with self._read() as connection:
            rows = _rows_of(connection, query, column=trials.c.id, keys=trial_ids)
            return {row.id: State(row.state) for row in rows}

    def sweep_ids(self) -> set[str]:
        """Every sweep's id."""
        with self._read() as connection:
            return set(connection.scalars(select(sweeps.c.id)))

    def sweep_records(self, name_or_id: str | None = None) -> tuple[SweepRecord, ...]:
        """The sweeps of that name or id (None: all), oldest first; empty where there is none."""
        query = select(sweeps).order_by(sweeps.c.unix_s, sweeps.c.id)
        if name_or_id is not None:
            query = query.where((sweeps.c.name == name_or_id) | (sweeps.c.id == name_or_id))
        with self._read() as connection:
            found = connection.execute(query).all()
            members = _members(connection, [row.id for row in found])
        return tuple(_record(row, members.get(row.id, ())) for row in found)

    def results(self, sweep_id: str) -> SweepResults:
        """A sweep's trials in its order; one whose `trial.json` could not be read is left out.

        Raises:
            UnknownSweepError: there is no sweep of that id.
        """
        record = next((record for record in self.sweep_records(sweep_id) if record.id == sweep_id), None)
        if record is None:
            known = ", ".join(sorted(self.sweep_ids())) or "none yet"
            raise UnknownSweepError(f"no sweep '{sweep_id}'; there are: {known}")
        inside = select(sweep_trials.c.trial_id).where(sweep_trials.c.sweep_id == sweep_id)
        found = self._trials(trials.c.id.in_(inside))
        known = [(member, found[member.id]) for member in record.trials if member.id in found]
        return SweepResults(record=record, trials=tuple(_result(row, member.overrides) for member, row in known))

    def single_trials(self) -> SweepResults:
        """The trials that belong to no sweep, by id, as the results of `SINGLE`."""
        found = self._trials(trials.c.id.not_in(select(sweep_trials.c.trial_id)))
        return SweepResults(record=SINGLE, trials=tuple(_result(found[key], {}) for key in sorted(found)))

    def points(self, trial_id: str) -> tuple[Point, ...]:
        """A trial's points in the order of its history."""
        return tuple(point for _, point in self.points_after(trial_id))

    # What `gather` reads and notes.

    def unsent(self) -> list[str]:
        """The trials that MLflow does not know as they are now, ascending."""
        query = select(trials.c.id).where(trials.c.signature != trials.c.sent_signature).order_by(trials.c.id)
        with self._read() as connection:
            return list(connection.scalars(query))

    def shipment(self, trial_id: str) -> Shipment:
        """What there is to send of a trial.

        Raises:
            UnknownTrialError: there is no such trial.
        """
        with self._read() as connection:
            row = connection.execute(select(trials).where(trials.c.id == trial_id)).one_or_none()
            if row is None:
                raise UnknownTrialError(f"no trial '{trial_id}'")
            places = connection.execute(
                select(sweeps, sweep_trials.c.overrides)
                .join(sweep_trials, sweeps.c.id == sweep_trials.c.sweep_id)
                .where(sweep_trials.c.trial_id == trial_id)
                .order_by(sweeps.c.unix_s, sweeps.c.id)
            ).all()
        return Shipment(
            id=row.id,
            config=json.loads(row.config),
            status=status_json.from_json(row.status),
            signature=row.signature,
            sweeps=tuple((_record(place), Member(trial_id, json.loads(place.overrides))) for place in places),
            run_id=row.run_id,
            sent_id=row.sent_id,
            run_is_stale=row.run_is_stale,
        )

    def points_after(self, trial_id: str, sent_id: int = 0, *, limit: int | None = None) -> list[tuple[int, Point]]:
        """The points behind a cursor, each with its id."""
        query = select(points).where(points.c.trial_id == trial_id, points.c.id > sent_id).order_by(points.c.id)
        with self._read() as connection:
            return [(row.id, _point(row)) for row in connection.execute(query.limit(limit))]

    def set_run(self, trial_id: str, run_id: str) -> None:
        """Notes the trial's run in MLflow, which has none of its points yet."""
        self._note(trial_id, run_id=run_id, sent_id=0, run_is_stale=False)

    def move_cursor(self, trial_id: str, sent_id: int) -> None:
        """Notes that MLflow has the points up to this one."""
        self._note(trial_id, sent_id=sent_id)

    def mark_sent(self, trial_id: str, signature: str) -> None:
        """Notes that MLflow has the trial as it was at this signature."""
        self._note(trial_id, sent_signature=signature)

    def aim(self, *, tracking_uri: str, experiment_id: str, created_ms: int) -> None:
        """Notes where the trials are sent to from now on. An experiment that is not the last one has none of them."""
        now = {"tracking_uri": tracking_uri, "experiment_id": experiment_id, "created_ms": created_ms}
        with self._write() as connection:
            before = connection.execute(select(destination)).mappings().all()
            if [dict(row) for row in before] != [now]:
                connection.execute(delete(destination))
                connection.execute(insert(destination), now)
                connection.execute(update(trials).values(run_id="", sent_id=0, sent_signature="", run_is_stale=False))

    def _note(self, trial_id: str, **values: Any) -> None:
        with self._write() as connection:
            connection.execute(update(trials).where(trials.c.id == trial_id).values(**values))

    def _trials(self, condition: ColumnElement[bool]) -> dict[str, Any]:
        with self._read() as connection:
            query = select(trials.c.id, trials.c.config, trials.c.status).where(condition)
            return {str(row.id): row for row in connection.execute(query)}

    def _read(self) -> contextlib.AbstractContextManager[Connection]:
        return transaction(self._engine, writes=False)

    def _write(self) -> contextlib.AbstractContextManager[Connection]:
        return transaction(self._engine, writes=True)

    def _insert_new(self, connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
        """Inserts a row; False where its key is taken."""
        statement = _INSERT[self._engine.dialect.name](table).on_conflict_do_nothing()
        done = connection.execute(statement, row, execution_options={"preserve_rowcount": True})
        return done.rowcount == 1


def _new_trial(folded: Folded) -> dict[str, Any]:
    nothing = {
        "points": 0,
        "points_digest": "",
        "run_id": "",
        "sent_id": 0,
        "sent_signature": "",
        "run_is_stale": False,
    }
    return {"id": folded.id, **_trial_row(folded), **nothing}


def _trial_row(folded: Folded) -> dict[str, Any]:
    return {
        "config": json.dumps(folded.config),
        "state": folded.status.state.value,
        "status": status_json.to_json(folded.status),
        "signature": folded.signature,
    }


def _put_points(connection: Connection, folded: Folded, *, count: int, digest: str) -> None:
    """Adds what is new at the history's end, or replaces the points where the stored part is not its beginning."""
    kept, whole = digests(folded.points, count=count)
    row = _trial_row(folded)
    if count and (count > len(folded.points) or kept != digest):
        connection.execute(delete(points).where(points.c.trial_id == folded.id))
        row |= {"sent_id": 0, "run_is_stale": trials.c.run_id != ""}
        count = 0
    new = [
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
    for part in _chunks(new):
        connection.execute(insert(points), part)
    row |= {"points": len(folded.points), "points_digest": whole}
    connection.execute(update(trials).where(trials.c.id == folded.id).values(**row))


def digests(history: Sequence[Point], *, count: int) -> tuple[str, str]:
    """The sha256 of the first `count` points and of all."""
    running, kept = hashlib.sha256(), ""
    for place, point in enumerate(history):
        if place == count:
            kept = running.hexdigest()
        running.update(repr((point.key, point.step, float(point.value), point.t, point.attempt)).encode())
    whole = running.hexdigest()
    return kept or whole, whole


def _members(connection: Connection, sweep_ids: Sequence[str]) -> dict[str, list[Member]]:
    found: dict[str, list[Member]] = {}
    query = select(sweep_trials).order_by(sweep_trials.c.sweep_id, sweep_trials.c.position)
    for row in _rows_of(connection, query, column=sweep_trials.c.sweep_id, keys=sweep_ids):
        found.setdefault(row.sweep_id, []).append(Member(row.trial_id, json.loads(row.overrides)))
    return found


def _record(row: Row[Any], members: Iterable[Member] = ()) -> SweepRecord:
    return SweepRecord(
        id=row.id,
        name=row.name,
        axes=tuple(json.loads(row.axes)),
        t=row.unix_s,
        trials=tuple(members),
        fixed=tuple(json.loads(row.fixed)),
        about=row.about,
    )


def _result(row: Row[Any], overrides: Mapping[str, Any]) -> TrialResult:
    status = status_json.from_json(row.status)
    return TrialResult(id=row.id, overrides=overrides, config=json.loads(row.config), status=status)


def _point(row: Row[Any]) -> Point:
    value = math.nan if row.value is None else row.value
    return Point(key=row.key, step=row.step, value=value, t=row.unix_s, attempt=row.attempt)


def _rows_of(
    connection: Connection, query: Any, *, column: ColumnElement[str], keys: Iterable[str] | None
) -> Iterator[Row[Any]]:
    """The rows of a query whose `column` is among the keys (None: all)."""
    if keys is None:
        yield from connection.execute(query)
        return
    for part in _chunks(list(dict.fromkeys(keys))):
        yield from connection.execute(query.where(column.in_(part)))


def _chunks(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
