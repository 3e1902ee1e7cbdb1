"""Many faults, one after the other: a small storm of every kind, and a service that is killed again and again."""

from pathlib import Path

from benchmarks.storm import report, run_storm


def test_a_sweep_comes_through_a_storm_as_if_nothing_had_happened(folder: Path) -> None:
    outcome = run_storm(folder, trials=4, faults=8, steps=300, seed=1)
    assert outcome.sound, report(outcome)
    assert sum(outcome.faults.values()) > 0


def test_a_service_that_is_killed_twenty_times_loses_nothing(folder: Path) -> None:
    outcome = run_storm(folder, trials=8, faults=20, steps=500, seed=2, only=["kill_service"])
    assert outcome.sound, report(outcome)
    assert outcome.faults == {"kill_service": 20}
