"""The benchmark of the step, on sizes that take a moment; nothing here is timed."""

import json
import sys

import pytest
import torch

from tests.fakes.official import make_checkout

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def benchmark(script):
    return script("step")


@pytest.fixture
def small(benchmark):
    return benchmark.Case(
        encoder="Ti", predictor_depth=2, predictor_width=96, batch=2, image=64, context=5, target=6, block=2
    )


@pytest.fixture
def checkout(tmp_path):
    yield make_checkout(tmp_path)
    for name in [name for name in sys.modules if name == "src" or name.startswith("src.")]:
        del sys.modules[name]


@pytest.fixture
def rows(benchmark, small, checkout):
    case = benchmark.Case(**{**vars(small), "official": True})
    return benchmark.measure(case, objectives=["iwm"], checkout=checkout, device=CPU, rounds=2)


def test_a_case_becomes_the_trial_that_it_says(small):
    config = small.config("iwm")
    assert (config.grid, config.train.batch_size) == (4, 2)
    assert (round(config.masks.context_ratio * 16), round(config.masks.target_ratio * 16)) == (5, 6)
    assert round(small.config("ijepa").masks.target_ratio * 16) == 2


def test_both_steps_are_measured_and_compared(benchmark, rows):
    theirs, ours = rows
    assert (theirs.contender, theirs.images_ratio, theirs.flops_ratio) == ("official", 1, 1)
    assert ours.contender == "iwm"
    assert ours.images_ratio
    assert ours.flops_ratio
    assert ours.host_waits_per_step is None
    assert ours.mfu is None


def test_every_stage_has_a_share_and_they_add_up(benchmark, rows):
    for row in rows:
        assert list(row.stages) == list(benchmark.stages.STAGES)
        assert sum(row.stages.values()) == pytest.approx(1, abs=0.001)
    assert rows[1].stages["backward"] > rows[1].stages["context"] > 0


def test_the_figures_of_a_row_fit_each_other(rows):
    for row in rows:
        assert row.gflops_per_s == pytest.approx(row.images_per_s * row.gflops_per_image, rel=0.2)


def test_table_and_document_name_the_hardware(benchmark, rows):
    text = benchmark.table(rows, device=CPU)
    assert "| ViT-Ti/16, 2x96, 64 px, batch 2, 5 to 6, fp32 | iwm |" in text
    document = json.loads(json.dumps(benchmark.machine.document(rows, device=CPU)))
    assert {"device", "torch", "date", "threads"} <= set(document)


def test_a_folder_that_is_no_checkout_is_named(benchmark, small, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkout of facebookresearch/ijepa: it has no src/helper\.py"):
        benchmark.official(small, checkout=tmp_path, device=CPU)


def test_an_unknown_objective_is_answered_with_the_known_ones(benchmark, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["--objectives", "guess"])
    assert "unknown objective 'guess'; choose from iwm" in capsys.readouterr().err
