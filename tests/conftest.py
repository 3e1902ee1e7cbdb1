"""A PostgreSQL server for the tests that run on both kinds of database; markers by folder."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.postgresql import Postgresql, installed, running


@pytest.fixture(scope="session")
def postgresql_url(postgresql: Postgresql) -> str:
    """The database that every PostgreSQL server has."""
    return postgresql.url("postgres")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A running server.

    Skips if its parts are not installed; fails then under IWM_REQUIRE_POSTGRESQL=1.
    """
    programs = installed()
    if programs is None:
        refuse = pytest.fail if os.environ.get("IWM_REQUIRE_POSTGRESQL") == "1" else pytest.skip
        refuse("needs PostgreSQL (apt install postgresql) and its driver (pip install 'iwm-orchestrator[postgres]')")
    with running(programs) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Variables that select our database and MLflow's: none, so that both are files, or two databases of a server."""
    if request.param == "sqlite":
        yield {}
        return
    server = request.getfixturevalue("postgresql")
    names = {"IWM_DATABASE_URL": "served", "MLFLOW_TRACKING_URI": "served_mlflow"}
    yield {variable: server.create(name) for variable, name in names.items()}
    server.drop(*names.values())


FOLDERS = {"slurm": "slurm", "e2e": "e2e", "gpu": "gpu"}
"""Folder below tests/ -> the marker of every test in it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by folder, so that `make test-fast` leaves out those that need clusters or whole processes."""
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in FOLDERS:
            item.add_marker(FOLDERS[folder])


def pytest_configure() -> None:
    """Restore SIGINT, which processes that a shell starts in the background, and their children, ignore."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
