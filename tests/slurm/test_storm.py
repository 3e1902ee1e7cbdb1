"""Many faults, one after the other: storms of every kind, and a service that is killed again and again."""

from pathlib import Path

import pytest

from benchmarks.storm import report, run_storm


@pytest.mark.parametrize(
    ("trials", "faults"), [pytest.param(2, 5, id="short"), pytest.param(8, 30, id="long", marks=pytest.mark.nightly)]
)
def test_a_storm_of_faults_changes_no_result(folder: Path, trials: int, faults: int) -> None:
    outcome = run_storm(folder, trials=trials, faults=faults, steps=300, seed=1)
    assert outcome.sound, report(outcome)
    assert sum(outcome.faults.values()) > 0


@pytest.mark.nightly
def test_a_service_that_is_killed_again_and_again_loses_nothing(folder: Path) -> None:
    """How many of the twenty kills fit in depends on how fast the trials are."""
    outcome = run_storm(folder, trials=8, faults=20, steps=500, seed=2, only=["kill_service"])
    assert outcome.sound, report(outcome)
    assert set(outcome.faults) == {"kill_service"}
    assert outcome.faults["kill_service"] > 2
