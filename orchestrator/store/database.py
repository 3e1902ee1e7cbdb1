"""The files of a root in SQL: a projection, which can be deleted and rebuilt.

`refresh` writes what changed on disk; tables, reports and `gather` read. SQLite by default, PostgreSQL by URL. A trial
is written in one transaction, and only if the database still holds the signature that the writer saw before it read
the files: of two concurrent writers the outdated one is refused.

Points are stored in the order of the trial's history, which normally only grows at its end. If an earlier part changed
(a newer attempt disowned the last lines of an older one, a journal was restored), the digest of the stored part
differs: the trial's points are then replaced as a whole, and `run_is_stale` makes `gather` start a new run.
"""

import contextlib
import gc
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from sqlalchemy import ColumnElement, Connection, Engine, Row, Table, bindparam, delete, insert, select, update
from sqlalchemy.dialects import sqlite

from orchestrator.errors import UnknownSweepError, UnknownTrialError
from orchestrator.records.scan import NEVER, FileStats
from orchestrator.store import rows, status_json
from orchestrator.store.engine import open_engine, transaction
from orchestrator.store.rows import Folded, Shipment
from orchestrator.store.tables import destination, looks, points, sweep_trials, sweeps, trials
from orchestrator.trial.lifecycle import Point, State, TrialStatus
from orchestrator.trial.results import SweepResults, TrialResult
from orchestrator.trial.sweep import SweepRecord

TRIAL = "trial"
"""The axis that tells trials without a sweep apart."""
SINGLE = SweepRecord(id="(no sweep)", name="(no sweep)", axes=(), t=0.0, trials=())
"""The record of the trials that belong to no sweep."""

_CHUNK = 10_000
"""Rows that are sent to the driver at once."""


class Store:
    """The database. One object per process; safe to use from several processes at once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> Self:
        """The store at this URL; creates missing tables.

        Raises:
            DatabaseError: unreachable, not writable, another program's or of a newer version.
        """
        return cls(open_engine(url))

    def close(self) -> None:
        """Closes the connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Written by `refresh`.

    def put_sweep(self, record: SweepRecord) -> None:
        """Adds a sweep, unless it is there already. Its trials get new tags in MLflow."""
        row, members = rows.new_sweep(record)
        with self._write() as connection:
            if self._insert_new(connection, sweeps, [row]) and members:
                connection.execute(insert(sweep_trials), members)
                inside = select(sweep_trials.c.trial_id).where(sweep_trials.c.sweep_id == record.id)
                connection.execute(update(trials).where(trials.c.id.in_(inside)).values(sent_signature=""))

    def put_trials(self, batch: Sequence[Folded], *, known: Mapping[str, FileStats]) -> set[str]:
        """Writes trials in one transaction, except those that another writer changed since this one read `known`.

        Returns the ids of the trials that were written.
        """
        ordered = {folded.id: folded for folded in sorted(batch, key=lambda folded: folded.id)}
        with self._write() as connection:
            stored = self._stored(connection, list(ordered))
            agreed = [one for key, one in ordered.items() if _signature(stored.get(key)) == _signature(known.get(key))]
            new = [{"id": one.id, **rows.trial(one)} for one in agreed if one.id not in stored]
            inserted = self._insert_new(connection, trials, new)
            kept = [one for one in agreed if one.id in stored or one.id in inserted]
            grown = [_grow(connection, one, stored=stored[one.id]) for one in kept if one.id in stored]
            if grown:
                connection.execute(_UPDATE, [row for row, _ in grown])
            news = [row for one in kept if one.id in inserted for row in rows.new_points(one, count=0)]
            for part in _chunks(news + [row for _, added in grown for row in added]):
                connection.execute(insert(points), part)
            self._put_glances(connection, {one.id: one.stats.glance for one in kept})
        return {one.id for one in kept}

    def put_glances(self, known: Mapping[str, FileStats]) -> None:
        """Writes new glances of trials whose signature is still the same."""
        with self._write() as connection:
            query = select(trials.c.id, trials.c.signature)
            found = list(_rows_of(connection, query, column=trials.c.id, keys=known))
            same = {row.id: known[row.id].glance for row in found if row.signature == known[row.id].signature}
            self._put_glances(connection, same)

    def forget(self, *, sweep_ids: Collection[str] = (), trial_ids: Collection[str] = ()) -> None:
        """Deletes sweeps and trials whose files are gone."""
        with self._write() as connection:
            for part in _chunks(list(sweep_ids)):
                connection.execute(delete(sweeps).where(sweeps.c.id.in_(part)))
            for part in _chunks(list(trial_ids)):
                connection.execute(delete(trials).where(trials.c.id.in_(part)))

    def reset(self) -> None:
        """Empties every table."""
        with self._write() as connection:
            for table in (looks, points, trials, sweep_trials, sweeps, destination):
                connection.execute(delete(table))

    # Read by tables, reports and pages.

    def known(self) -> dict[str, FileStats]:
        """The file stats that each trial was last folded from, by trial id."""
        with self._read() as connection:
            glances = {row[0]: row[1] for row in connection.execute(select(looks.c.trial_id, looks.c.glance)).all()}
            found = connection.execute(select(trials.c.id, trials.c.signature)).all()
        return {row[0]: FileStats(row[1], glances.get(row[0], NEVER)) for row in found}

    def trial_ids(self, *, states: Collection[State] | None = None) -> list[str]:
        """The trials in these states (None: in any), ascending."""
        query = select(trials.c.id).order_by(trials.c.id)
        if states is not None:
            query = query.where(trials.c.state.in_(sorted(states)))
        with self._read() as connection:
            return list(connection.scalars(query))

    def states(self, trial_ids: Iterable[str] | None = None) -> dict[str, State]:
        """The state of each of these trials (None: of all) that is known, by id."""
        query = select(trials.c.id, trials.c.state)
        with self._read() as connection:
            found = _rows_of(connection, query, column=trials.c.id, keys=trial_ids)
            return {row.id: State(row.state) for row in found}

    def statuses(
        self, trial_ids: Iterable[str] | None = None, *, states: Collection[State] | None = None
    ) -> dict[str, TrialStatus]:
        """The status of each of these trials (None: of all) that is in one of these states (None: in any), by id."""
        query = select(trials.c.id, trials.c.status).order_by(trials.c.id)
        if states is not None:
            query = query.where(trials.c.state.in_(sorted(states)))
        with self._read() as connection:
            found = _rows_of(connection, query, column=trials.c.id, keys=trial_ids)
            return {row.id: status_json.from_json(row.status) for row in found}

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
        return tuple(rows.to_record(row, members.get(row.id, ())) for row in found)

    def sweep_record(self, sweep_id: str) -> SweepRecord:
        """The sweep of that id, which may be another's name.

        Raises:
            UnknownSweepError: no such sweep.
        """
        record = next((record for record in self.sweep_records(sweep_id) if record.id == sweep_id), None)
        if record is None:
            known = sorted(self.sweep_ids())
            valid = ", ".join(known) or "none yet"
            raise UnknownSweepError(f"no sweep '{sweep_id}'; choose from {valid}", value=sweep_id, choices=known)
        return record

    def results(self, sweep_id: str) -> SweepResults:
        """A sweep's trials in its order; one whose `trial.json` could not be read is left out.

        Raises:
            UnknownSweepError: there is no sweep of that id.
        """
        return self.results_of(self.sweep_record(sweep_id))

    def results_of(self, record: SweepRecord, *, before: SweepResults | None = None) -> SweepResults:
        """The same of a record that is known.

        With earlier results (`before`), unchanged trials are the same objects and only changed ones are read; if
        nothing has changed, `before` itself is returned.
        """
        inside = trials.c.id.in_(select(sweep_trials.c.trial_id).where(sweep_trials.c.sweep_id == record.id))
        same: dict[str, TrialResult] = {}
        changed = None
        if before:
            with self._read() as connection:
                query = select(trials.c.id, trials.c.signature).where(inside)
                signatures = {row[0]: row[1] for row in connection.execute(query).all()}
            same = {one.id: one for one in before.trials if rows.signature_of(one) == signatures.get(one.id)}
            changed = [key for key in signatures if key not in same]
            if not changed and len(same) == len(before.trials):
                return before
        found = self._trials(inside, keys=changed)
        ordered = (
            same.get(member.id) or rows.StoredResult(found[member.id], member.overrides)
            for member in record.trials
            if member.id in same or member.id in found
        )
        return SweepResults(record=record, trials=tuple(ordered))

    def single_trials(self) -> SweepResults:
        """The trials that belong to no sweep, ordered by id, as the results of `SINGLE`."""
        found = self._trials(trials.c.id.not_in(select(sweep_trials.c.trial_id)))
        single = (rows.StoredResult(found[key], {TRIAL: key[:8]}) for key in sorted(found))
        return SweepResults(record=SINGLE, trials=tuple(single))

    def points(self, trial_id: str) -> tuple[Point, ...]:
        """A trial's points in the order of its history."""
        return tuple(point for _, point in self.points_after(trial_id))

    # Read and written by `gather`.

    def unsent(self) -> list[str]:
        """The trials that have changed since they were sent to MLflow, ascending."""
        query = select(trials.c.id).where(trials.c.signature != trials.c.sent_signature).order_by(trials.c.id)
        with self._read() as connection:
            return list(connection.scalars(query))

    def shipment(self, trial_id: str) -> Shipment:
        """The trial as it is to be sent.

        Raises:
            UnknownTrialError: there is no such trial.
        """
        with self._read() as connection:
            row = connection.execute(select(trials).where(trials.c.id == trial_id)).one_or_none()
            if row is None:
                raise UnknownTrialError(f"no trial '{trial_id}'", value=trial_id)
            places = connection.execute(
                select(sweeps, sweep_trials.c.overrides)
                .join(sweep_trials, sweeps.c.id == sweep_trials.c.sweep_id)
                .where(sweep_trials.c.trial_id == trial_id)
                .order_by(sweeps.c.unix_s, sweeps.c.id)
            ).all()
        return rows.to_shipment(row, places)

    def points_after(self, trial_id: str, sent_id: int = 0, *, limit: int | None = None) -> list[tuple[int, Point]]:
        """The points after a cursor, each with its id."""
        query = select(points).where(points.c.trial_id == trial_id, points.c.id > sent_id).order_by(points.c.id)
        with self._read() as connection:
            return [(row.id, rows.to_point(row)) for row in connection.execute(query.limit(limit))]

    def set_run(self, trial_id: str, run_id: str) -> None:
        """Sets the trial's run in MLflow, which has none of its points yet."""
        self._note(trial_id, run_id=run_id, sent_id=0, run_is_stale=False)

    def move_cursor(self, trial_id: str, sent_id: int) -> None:
        """Records that MLflow has the points up to this one."""
        self._note(trial_id, sent_id=sent_id)

    def mark_sent(self, trial_id: str, signature: str, *, sent_id: int | None = None) -> None:
        """Records that MLflow has the trial as of this signature, with points up to `sent_id` (None: as before)."""
        moved = {} if sent_id is None else {"sent_id": sent_id}
        self._note(trial_id, sent_signature=signature, **moved)

    def aim(self, *, tracking_uri: str, experiment_id: str, created_ms: int) -> None:
        """Sets the MLflow experiment that trials are sent to; if it is another one, all of them are sent again."""
        now = {"tracking_uri": tracking_uri, "experiment_id": experiment_id, "created_ms": created_ms}
        with self._write() as connection:
            before = connection.execute(select(destination)).mappings().all()
            if [dict(row) for row in before] != [now]:
                connection.execute(delete(destination))
                connection.execute(insert(destination), now)
                connection.execute(update(trials).values(run_id="", sent_id=0, sent_signature="", run_is_stale=False))

    def experiment_id(self) -> str:
        """The MLflow experiment that trials were last sent to; empty if none were."""
        with self._read() as connection:
            return next(iter(connection.scalars(select(destination.c.experiment_id))), "")

    def send_again(self, trial_ids: Collection[str]) -> None:
        """Marks trials to be sent to MLflow again, although their files have not changed."""
        with self._write() as connection:
            for part in _chunks(sorted(trial_ids)):
                connection.execute(update(trials).where(trials.c.id.in_(part)).values(sent_signature=""))

    def _note(self, trial_id: str, **values: Any) -> None:
        with self._write() as connection:
            connection.execute(update(trials).where(trials.c.id == trial_id).values(**values))

    def _trials(self, condition: ColumnElement[bool], *, keys: Iterable[str] | None = None) -> dict[str, Row[Any]]:
        """The rows of the trials that meet the condition (and are among the keys), by id."""
        columns = (trials.c.id, trials.c.state, trials.c.config, trials.c.status, trials.c.signature)
        with self._read() as connection:
            found = _rows_of(connection, select(*columns).where(condition), column=trials.c.id, keys=keys)
            return {row[0]: row for row in found}

    @contextlib.contextmanager
    def _read(self) -> Iterator[Connection]:
        """A transaction that only reads. Its many new rows would trigger garbage collection in vain."""
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            with transaction(self._engine, writes=False) as connection:
                yield connection
        finally:
            if was_enabled:
                gc.enable()

    def _write(self) -> contextlib.AbstractContextManager[Connection]:
        return transaction(self._engine, writes=True)

    def _stored(self, connection: Connection, keys: list[str]) -> dict[str, Row[Any]]:
        """The stored history of these trials, whose rows are locked, in one order to avoid deadlocks."""
        query = select(trials.c.id, trials.c.signature, trials.c.points, trials.c.points_digest)
        locked = query.order_by(trials.c.id).with_for_update()
        return {row.id: row for row in _rows_of(connection, locked, column=trials.c.id, keys=keys)}

    def _insert_new(self, connection: Connection, table: Table, new: Sequence[Mapping[str, Any]]) -> set[str]:
        """Inserts the rows whose key is not taken; returns their ids."""
        if not new:
            return set()
        statement = self._insert(table).on_conflict_do_nothing().returning(table.c.id)
        return set(connection.scalars(statement, new))

    def _put_glances(self, connection: Connection, glances: Mapping[str, str]) -> None:
        statement = self._insert(looks)
        newest = statement.on_conflict_do_update(
            index_elements=[looks.c.trial_id], set_={"glance": statement.excluded.glance}
        )
        for part in _chunks([{"trial_id": key, "glance": glance} for key, glance in glances.items()]):
            connection.execute(newest, part)

    def _insert(self, table: Table) -> sqlite.Insert:
        """An `INSERT` with `ON CONFLICT`, which has the same methods for both databases."""
        if self._engine.dialect.name == "sqlite":
            return sqlite.insert(table)
        from sqlalchemy.dialects import postgresql  # takes as long to load as half of SQLAlchemy

        return postgresql.insert(table)  # type: ignore[return-value]


_UPDATE = (
    update(trials)
    .where(trials.c.id == bindparam("key"))
    .values({name: bindparam(name) for name in ("config", "state", "status", "signature", "points", "points_digest")})
)


def _signature(stored: Row[Any] | FileStats | None) -> str | None:
    return stored.signature if stored else None


def _grow(connection: Connection, folded: Folded, *, stored: Row[Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A stored trial's new values and the points to append.

    If the stored points are not the beginning of the history, deletes them and marks the MLflow run as stale.
    """
    count = stored.points
    kept, whole = rows.digests(folded.points, count=count)
    if count and (count > len(folded.points) or kept != stored.points_digest):
        connection.execute(delete(points).where(points.c.trial_id == folded.id))
        again = {"sent_id": 0, "run_is_stale": trials.c.run_id != ""}
        connection.execute(update(trials).where(trials.c.id == folded.id).values(**again))
        count = 0
    return {"key": folded.id, **rows.trial(folded, digest=whole)}, rows.new_points(folded, count=count)


def _members(connection: Connection, sweep_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The trials of each sweep, as `sweep.json` lists them."""
    found: dict[str, list[Row[Any]]] = {}
    query = select(sweep_trials).order_by(sweep_trials.c.sweep_id, sweep_trials.c.position)
    for row in _rows_of(connection, query, column=sweep_trials.c.sweep_id, keys=sweep_ids):
        found.setdefault(row.sweep_id, []).append(row)
    return {sweep_id: rows.to_members(inside) for sweep_id, inside in found.items()}


def _rows_of(
    connection: Connection, query: Any, *, column: ColumnElement[str], keys: Iterable[str] | None
) -> Iterator[Row[Any]]:
    """The rows of a query whose `column` is among the keys (None: all)."""
    if keys is None:
        yield from connection.execute(query).all()
        return
    for part in _chunks(list(dict.fromkeys(keys))):
        yield from connection.execute(query.where(column.in_(part))).all()


def _chunks(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
