"""The benchmark of the orchestrator, on a handful of trials."""

import importlib.util
import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from orchestrator.records.layout import Layout
from orchestrator.store.database import Store
from orchestrator.store.refresh import Refreshed, refresh

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "orchestrator.py"


@pytest.fixture(scope="module")
def benchmark():
    """The script; while it is loaded, `benchmarks` can be imported however the tests were started."""
    before = list(sys.path)
    spec = importlib.util.spec_from_file_location("benchmark_orchestrator", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = before


def test_a_world_has_trials_at_every_point_of_their_life(benchmark, tmp_path):
    from benchmarks.scale.roots import MIXED, make_world

    world = make_world(tmp_path, trials=100, mix=MIXED)
    layout = Layout.of(world.root, environ={})
    with Store.open(layout.database_url) as store:
        assert refresh(layout, store) == Refreshed(sweeps=1, trials=100)
        assert Counter(state.value for state in store.states().values()) == MIXED
        assert len(store.results(world.sweep.id).trials) == 100
        assert not any(status.drifted for status in store.statuses().values())
        assert all(known.glance for known in store.known().values())


def test_a_row_is_the_median_and_knows_its_target(benchmark):
    from benchmarks.scale.bench import Row, Took, table

    row = Row.of_times([Took(3.0, 1.0), Took(1.0, 0.5), Took(2.0, 0.7)], part="status", what="a look", below=2.5)
    assert (row.median, row.least, row.most, row.runs, row.cpu_s) == (2.0, 1.0, 3.0, 3, 0.7)
    text = table([row])
    assert "| a look | 2 s | 1 to 3, 3 runs | 0.7 s | under 2.5 s: held |" in text
    assert "processor" in text


def test_a_part_is_measured_in_real_processes(benchmark, capsys):
    benchmark.main(["--parts", "status", "--trials", "10", "--runs", "1", "--json"])
    document = json.loads(capsys.readouterr().out)
    whats = [row["what"] for row in document["rows"]]
    assert whats == ["iwm status, 10 trials", "iwm status, 10 live trials", "iwm status --json, 10 trials"]
    assert all(0 < row["cpu_s"] < 60 for row in document["rows"])
    assert {"processor", "load", "date"} <= set(document)


def test_an_unknown_part_is_answered_with_the_known_ones(benchmark, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["--parts", "nothing"])
    assert "unknown part 'nothing'; choose from plan, first, status" in capsys.readouterr().err
