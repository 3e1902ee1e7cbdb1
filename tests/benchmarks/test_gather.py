"""The benchmark of the gatherer, on a handful of journals; nothing here is timed."""

import json

import pytest


@pytest.fixture(scope="module")
def benchmark(script):
    return script("gather")


@pytest.mark.slow
def test_every_point_goes_through_a_real_server(benchmark, capsys):
    benchmark.main(["--parts", "sqlite", "--trials", "2", "--steps", "5", "--json"])
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["what"] == "50 points of 2 trials to MLflow on SQLite, over HTTP"
    assert row["median"] > 0
    assert row["at_least"] == 5_000


def test_a_rate_holds_its_target_from_there_on(benchmark):
    from benchmarks.scale.bench import Row, table

    row = Row(part="p", what="w", unit="points/s", median=10.0, least=10.0, most=10.0, runs=1, at_least=10.0)
    assert "| at least 10 points/s: held |" in table([row])
    assert "| at least 10 points/s: missed |" in table([Row(**{**vars(row), "median": 9.9})])
