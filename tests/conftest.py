"""A PostgreSQL server of the tests' own, for whoever wants to see that a team's database serves as well as a file."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Postgresql:
    """A running server, whose databases are made and dropped as a test likes."""

    folder: Path

    def url(self, name: str) -> str:
        """Where a database is."""
        return f"postgresql://iwm:s3cret@/{name}?host={self.folder}"

    def create(self, name: str, *, like: str = "template1") -> str:
        """A new database, empty or a copy of another; its URL."""
        self._say(f"CREATE DATABASE {name} TEMPLATE {like}")
        return self.url(name)

    def drop(self, *names: str) -> None:
        """Ends databases, whoever is using them."""
        for name in names:
            self._say(f"DROP DATABASE {name} WITH (FORCE)")

    def _say(self, words: str) -> None:
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(words.encode())


@pytest.fixture(scope="session")
def postgresql_url(postgresql: Postgresql) -> str:
    """The database that every such server has."""
    return postgresql.url("postgres")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A throwaway PostgreSQL server that listens on a socket in its own folder.

    Skips where its parts are not installed; fails there under IWM_REQUIRE_POSTGRESQL=1.
    """
    programs = _postgresql()
    if programs is None:
        refuse = pytest.fail if os.environ.get("IWM_REQUIRE_POSTGRESQL") == "1" else pytest.skip
        refuse("needs PostgreSQL (apt install postgresql) and its driver (pip install 'iwm-orchestrator[postgres]')")
    user = "postgres" if os.getuid() == 0 else None  # the server refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="iwm-pg-"))
    shutil.chown(folder, user or os.getuid())

    def run(program: str, *words: str) -> None:
        subprocess.run([programs / program, *words], user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    data = str(folder / "data")
    try:
        run("initdb", "-D", data, "-U", "iwm", "--auth=trust", "--no-sync")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        run("pg_ctl", "-D", data, "-w", "-o", options, "-l", str(folder / "log"), "start")
        yield Postgresql(folder)
    finally:
        if Path(data, "postmaster.pid").exists():
            run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder)


def _postgresql() -> Path | None:
    """The folder of initdb and pg_ctl, which Debian keeps off the PATH; None where it or the driver is missing."""
    if not importlib.util.find_spec("psycopg"):
        return None
    on_path = shutil.which("initdb")
    places = [Path(on_path).parent] if on_path else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)
