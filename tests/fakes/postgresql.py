"""A throwaway PostgreSQL server, which listens on a socket in its own folder."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


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


@contextmanager
def running(programs: Path) -> Iterator[Postgresql]:
    """A server of these programs, which ends and is forgotten with the block."""
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


def installed() -> Path | None:
    """The folder of initdb and pg_ctl, which Debian keeps off the PATH; None where it or the driver is missing."""
    if not importlib.util.find_spec("psycopg"):
        return None
    on_path = shutil.which("initdb")
    places = [Path(on_path).parent] if on_path else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)
