"""The benchmark of evaluation, on the demo's networks; nothing here is timed."""

import dataclasses
import json
import math

import pytest
import torch

CPU = torch.device("cpu")
NETWORKS = ("features, bf16", "features, fp32", "attentive", "predictor_finetune", "encoder_finetune", "end_to_end")
WHATS = {*NETWORKS, "linear_probe", "knn", "mrr", "decode"}


@pytest.fixture(scope="module")
def benchmark(script):
    return script("evaluation")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("rows") / "rows.jsonl"


@pytest.fixture(scope="module")
def rows(benchmark, file):
    found = benchmark.measure(benchmark.SIZES["toy"], device=CPU, rows=benchmark.Rows("evaluation", file))
    return {row.what: row for row in found}


def test_everything_is_measured(rows):
    assert set(rows) == WHATS
    for row in rows.values():
        assert row.seconds > 0
        assert row.batch > 0
        assert row.sizes
        assert row.mfu is None
        assert row.peak_gb is None


def test_networks_have_their_flops_and_tuning_more_costs_more(rows):
    for name in NETWORKS:
        row = rows[name]
        assert row.gflops_per_s == pytest.approx(row.images_per_s * row.gflops_per_image, rel=0.01)
        assert not row.note
    cost = {name: rows[name].gflops_per_image for name in NETWORKS}
    assert cost["features, bf16"] == cost["features, fp32"] < cost["encoder_finetune"] < cost["end_to_end"]
    assert cost["predictor_finetune"] < cost["end_to_end"]


def test_a_linear_probe_is_told_by_iteration(rows):
    row = rows["linear_probe"]
    assert row.iterations > 1
    assert row.s_per_iteration > 0
    assert row.gflops_per_s > 0
    assert row.images_per_s is None


@pytest.mark.parametrize("what", ["knn", "mrr", "decode"])
def test_the_others_have_a_rate(rows, what):
    assert rows[what].images_per_s == pytest.approx(rows[what].batch / rows[what].seconds, rel=0.01)
    assert not rows[what].note


def test_every_row_is_in_the_file(benchmark, rows, file):
    written = [json.loads(line) for line in file.read_text().splitlines()]
    assert written == [{"part": "evaluation", **dataclasses.asdict(row)} for row in rows.values()]
    assert set(json.loads(json.dumps(benchmark.machine.document(list(rows.values()), device=CPU)))) > {
        "rows",
        "device",
        "date",
    }
    assert all(f"| {what} |" in benchmark.table(list(rows.values()), device=CPU) for what in WHATS)


def test_what_comes_too_late_is_skipped_and_said(benchmark):
    found = benchmark.measure(
        benchmark.SIZES["B"], device=CPU, rows=benchmark.Rows("evaluation", None), deadline=-math.inf
    )
    assert {row.what for row in found} == WHATS
    assert {row.note for row in found} == {"skipped: out of time"}


def test_what_fails_is_a_row_with_its_error(benchmark):
    def broken(what):
        raise ValueError("no such thing\nand more")

    assert benchmark.attempted("knn", broken, deadline=math.inf) == benchmark.Row(
        what="knn", error="ValueError: no such thing"
    )


def test_a_batch_that_does_not_fit_is_halved(benchmark):
    def at(batch):
        if batch > 16:
            raise torch.OutOfMemoryError(f"no memory for {batch}")
        return benchmark.Row(what="end_to_end", batch=batch)

    row = benchmark.fitting(at, batch=64)
    assert (row.batch, row.note) == (16, "out of memory at 64, 32")


def test_another_error_is_not_taken_for_a_lack_of_memory(benchmark):
    error = RuntimeError("shapes do not fit")

    def at(batch):
        raise error

    with pytest.raises(RuntimeError) as caught:
        benchmark.fitting(at, batch=64)
    assert caught.value is error


@pytest.mark.parametrize("size", ["S", "B"])
def test_a_gpu_evaluates_as_the_presets_of_imagenet_do(benchmark, size):
    config = benchmark.SIZES[size].config(torch.device("cuda"))
    assert (config.train.precision, config.tune.batch_size, config.data.image_size) == ("bf16", 1024, 224)
    assert config.tune.head_heads == config.encoder.heads
    assert (config.evaluate.bank_images, config.evaluate.bank_size) == (32, 256)
