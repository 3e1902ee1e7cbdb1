"""Many faults, one after the other: a small storm of every kind, and a service that is killed again and again."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.storm import report, run_storm


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: sockets take no long ones."""
    made = Path(tempfile.mkdtemp(prefix="iwm-storm-", dir="/tmp"))
    yield made
    shutil.rmtree(made)


def test_a_sweep_comes_through_a_storm_as_if_nothing_had_happened(slurm_installed: None, folder: Path) -> None:
    outcome = run_storm(folder, trials=4, faults=8, steps=300, seed=1)
    assert outcome.sound, report(outcome)
    assert sum(outcome.faults.values()) > 0


def test_a_service_that_is_killed_twenty_times_loses_nothing(slurm_installed: None, folder: Path) -> None:
    outcome = run_storm(folder, trials=8, faults=20, steps=500, seed=2, only=["kill_service"])
    assert outcome.sound, report(outcome)
    assert outcome.faults == {"kill_service": 20}
