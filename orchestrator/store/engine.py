"""An engine on a database with this program's tables.

The database is a copy of files, so a change of the tables needs no migration: tables of an older version are dropped
and created again, and the next refresh fills them. Newer tables are refused, since two versions of the program on one
database would drop each other's. Tables of other programs are never touched.

Processes that open a database at the same time take turns (a lock file beside SQLite, an advisory lock on PostgreSQL).
Tables are created in one transaction, so a process that is killed changes nothing.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError, SQLAlchemyError

from orchestrator.errors import DatabaseError
from orchestrator.host.locks import holding
from orchestrator.host.redact import redact, shown
from orchestrator.store.tables import VERSION, iwm_schema, metadata

BUSY_S = 30
CONNECT_S = 5
ADVISORY_LOCK = 0x69776D  # "iwm"
SETTING = "IWM_DATABASE_URL"
VALID = "choose sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME"


def open_engine(text_url: str) -> Engine:
    """An engine on the database; creates this version's tables if it has none or older ones.

    Raises:
        DatabaseError: unreachable, not writable, another program's or of a newer version.
    """
    url = _parse(text_url)
    engine = _engine(url)
    try:
        with plain_errors(url):
            if _version(engine) != VERSION:
                _make_tables(engine, url=url)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextlib.contextmanager
def plain_errors(url: URL) -> Iterator[None]:
    """Raises a driver's error as a `DatabaseError` of one sentence without a password."""
    try:
        yield
    except SQLAlchemyError as error:
        raw = url.render_as_string(hide_password=False)
        reason = redact(" ".join(str(getattr(error, "orig", None) or error).split()), url=raw)
        raise DatabaseError(f"cannot use database '{shown(raw)}': {reason}", value=shown(raw)) from error


@contextlib.contextmanager
def transaction(engine: Engine, *, writes: bool) -> Iterator[Connection]:
    """One transaction. On SQLite a writer takes the lock when it begins, where waiting cannot deadlock."""
    with plain_errors(engine.url), engine.connect() as connection:
        connection = connection.execution_options(begin="BEGIN IMMEDIATE" if writes else "BEGIN")
        with connection.begin():
            yield connection


def _parse(text_url: str) -> URL:
    try:
        url = make_url(text_url)
    except (ArgumentError, ValueError):
        raise DatabaseError(f"cannot parse the database URL; {VALID}", setting=SETTING) from None
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise DatabaseError(f"unknown kind of database '{url.drivername}'; {VALID}", setting=SETTING)
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise DatabaseError(f"an SQLite database needs a file; {VALID}", setting=SETTING)
    return url


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        folder = Path(url.database or "").parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror or error
            raise DatabaseError(f"cannot create the database's folder '{folder}': {reason}", path=folder) from error
        engine = create_engine(url, connect_args={"timeout": BUSY_S})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        return create_engine(url, connect_args={"connect_timeout": CONNECT_S}, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise DatabaseError(
            f"PostgreSQL needs the package '{error.name}': pip install 'iwm-orchestrator[postgres]'", value=error.name
        ) from None


def _prepare_sqlite(dbapi: Any, _record: Any) -> None:
    dbapi.isolation_level = None  # the driver must not begin transactions by itself
    dbapi.execute("PRAGMA foreign_keys = ON")
    dbapi.execute("PRAGMA synchronous = NORMAL")  # safe under WAL; a projection can be made again


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _version(engine: Engine) -> int | None:
    """The version of our tables in the database; None if there are none.

    Raises:
        DatabaseError: it is newer than this program's.
    """
    try:
        with engine.connect() as connection:
            found = connection.scalar(select(iwm_schema.c.version))
    except (OperationalError, ProgrammingError) as error:
        if "no such table" in str(error.orig) or "does not exist" in str(error.orig):
            return None
        raise
    if found is not None and found > VERSION:
        raise DatabaseError(
            f"the tables of database '{engine.url.render_as_string(hide_password=True)}' have version {found}, newer "
            f"than this program's {VERSION}; update iwm-orchestrator or set IWM_DATABASE_URL to another database",
            setting="version",
            value=found,
        )
    return found


def _make_tables(engine: Engine, *, url: URL) -> None:
    """Drops our tables of an older version, if any, and creates those of this version."""
    with _alone(engine, url=url), transaction(engine, writes=True) as connection:
        if url.get_backend_name() == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        there = set(inspect(connection).get_table_names())
        if iwm_schema.name in there and connection.scalar(select(iwm_schema.c.version)) == VERSION:
            return  # another process was faster
        if iwm_schema.name in there or _has_first_versions(connection, there=there):
            metadata.drop_all(connection)
        metadata.create_all(connection, checkfirst=False)
        connection.execute(insert(iwm_schema), {"version": VERSION})


def _has_first_versions(connection: Connection, *, there: set[str]) -> bool:
    """Return True if the tables are ours of versions 1 or 2, which Alembic made; drops Alembic's own table."""
    if "alembic_version" not in there:
        return False
    if connection.scalar(text("SELECT version_num FROM alembic_version")) not in ("0001", "0002"):
        return False
    connection.execute(text("DROP TABLE alembic_version"))
    return True


@contextlib.contextmanager
def _alone(engine: Engine, *, url: URL) -> Iterator[None]:
    """For SQLite: holds a lock file, and turns on write-ahead logging, which the database file remembers."""
    if url.get_backend_name() != "sqlite":
        yield
        return
    file = Path(url.database or "")
    try:
        with holding(file.with_name(file.name + ".lock"), wait_s=BUSY_S) as alone:
            if not alone:
                raise DatabaseError(f"another process has been preparing '{file}' for {BUSY_S} s", path=file)
            with engine.connect() as connection:
                driver: Any = connection.connection.dbapi_connection
                driver.execute("PRAGMA journal_mode = WAL")
            yield
    except OSError as error:
        raise DatabaseError(f"cannot write to '{file.parent}': {error.strerror or error}", path=file.parent) from error
