"""The benchmark of checkpoints, on the smallest state; nothing here is timed."""

import json

import pytest
import torch

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def benchmark(script):
    return script("checkpoint")


def test_a_row_has_both_ways_of_writing(benchmark, tmp_path):
    torch.set_num_threads(1)
    row = benchmark.measure("toy", device=CPU, runs=2, folder=tmp_path / "toy")
    assert row.megabytes > 1
    assert row.durable_s >= row.stands_still_s > 0
    assert row.at_once_s > 0
    assert json.loads(json.dumps(benchmark.machine.document([row], device=CPU)))["rows"][0]["state"] == "toy"
    assert "| toy | " in benchmark.table([row], device=CPU)


def test_an_unknown_state_is_answered_with_the_known_ones(benchmark, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["--states", "XXL"])
    assert "unknown state 'XXL'; choose from toy, S, B, L" in capsys.readouterr().err
