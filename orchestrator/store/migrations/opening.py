"""An engine on a database of this program's version: made or migrated where it is older, refused where it is newer.

The check is one query. Alembic, which takes a tenth of a second to import, is loaded only when there is something to
do; processes that open a fresh database at once take turns (a lock file beside SQLite, an advisory lock on PostgreSQL)
and a migration is one transaction, so that a killed one leaves nothing behind.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError, SQLAlchemyError

from orchestrator.errors import DatabaseError
from orchestrator.host.locks import holding
from orchestrator.host.redact import redact, shown
from orchestrator.store.migrations.schema import VERSION

BUSY_S = 30
CONNECT_S = 5
ADVISORY_LOCK = 0x69776D  # "iwm"
VALID = "choose sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME"


def open_engine(text_url: str) -> Engine:
    """An engine on the database, which has the tables of this version.

    Raises:
        DatabaseError: out of reach, not writable, no database of ours, or of a newer version.
    """
    url = _parse(text_url)
    if url.get_backend_name() == "sqlite":
        _make_folder(url)
    engine = _engine(url)
    try:
        with plain_errors(url):
            if _version(engine, url=url) != VERSION:
                _migrate(engine, url=url)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextlib.contextmanager
def plain_errors(url: URL) -> Iterator[None]:
    """Turns what a driver raises into one sentence without a password."""
    try:
        yield
    except SQLAlchemyError as error:
        raw = url.render_as_string(hide_password=False)
        reason = redact(" ".join(str(getattr(error, "orig", None) or error).split()), url=raw)
        raise DatabaseError(f"cannot use database '{shown(raw)}': {reason}") from error


@contextlib.contextmanager
def transaction(engine: Engine, *, writes: bool) -> Iterator[Connection]:
    """One transaction. On SQLite a writer waits for the lock at its beginning, where waiting cannot deadlock."""
    with plain_errors(engine.url), engine.connect() as connection:
        connection = connection.execution_options(begin="BEGIN IMMEDIATE" if writes else "BEGIN")
        with connection.begin():
            yield connection


def _parse(text_url: str) -> URL:
    try:
        url = make_url(text_url)
    except (ArgumentError, ValueError):
        raise DatabaseError(f"the database's URL cannot be read; {VALID}") from None
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise DatabaseError(f"unknown kind of database '{url.drivername}'; {VALID}")
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise DatabaseError(f"an SQLite database needs a file; {VALID}")
    return url


def _make_folder(url: URL) -> None:
    folder = _file(url).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseError(f"cannot make the database's folder '{folder}': {error.strerror or error}") from error


def _file(url: URL) -> Path:
    return Path(url.database or "")


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": BUSY_S})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        return create_engine(url, connect_args={"connect_timeout": CONNECT_S}, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise DatabaseError(
            f"a PostgreSQL database needs the driver '{error.name}': pip install 'iwm-orchestrator[postgres]'"
        ) from None


def _prepare_sqlite(dbapi: Any, _record: Any) -> None:
    dbapi.isolation_level = None  # the driver must not begin transactions by itself
    dbapi.execute("PRAGMA foreign_keys = ON")
    dbapi.execute("PRAGMA synchronous = NORMAL")  # safe under WAL; a projection can be made again


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _version(engine: Engine, *, url: URL) -> str | None:
    """The version that the database has; None where it has no tables yet.

    Raises:
        DatabaseError: it is newer than this program.
    """
    try:
        with engine.connect() as connection:
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except (OperationalError, ProgrammingError) as error:
        if "no such table" in str(error.orig) or "does not exist" in str(error.orig):
            return None
        raise
    if found is not None and not (found.isdigit() and int(found) <= int(VERSION)):
        raise DatabaseError(
            f"database '{url.render_as_string(hide_password=True)}' is of version {found}, newer than this program's "
            f"{VERSION}; update iwm-orchestrator, or choose another database with IWM_DATABASE_URL"
        )
    return found


def _migrate(engine: Engine, *, url: URL) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with _alone(engine, url=url), transaction(engine, writes=True) as connection:
        if url.get_backend_name() == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextlib.contextmanager
def _alone(engine: Engine, *, url: URL) -> Iterator[None]:
    """Others wait; and write-ahead logging, which an SQLite file remembers, is switched on."""
    if url.get_backend_name() != "sqlite":
        yield
        return
    file = _file(url)
    lock = file.with_name(file.name + ".lock")
    try:
        with holding(lock, wait_s=BUSY_S) as alone:
            if not alone:
                raise DatabaseError(f"another process has been preparing database '{file}' for {BUSY_S} s")
            with engine.connect() as connection:
                driver: Any = connection.connection.dbapi_connection
                driver.execute("PRAGMA journal_mode = WAL")
            yield
    except OSError as error:
        raise DatabaseError(f"cannot write beside database '{file}': {error.strerror or error}") from error
