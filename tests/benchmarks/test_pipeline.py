"""The benchmark of the pipeline, on few files and small networks; nothing here is timed."""

import pytest
import torch

from iwm_core.config import EncoderConfig, PredictorConfig, TrainConfig, TrialConfig

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def benchmark(script):
    torch.set_num_threads(1)
    return script("pipeline")


@pytest.fixture(scope="module")
def pipeline(benchmark, tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    benchmark.write_photos(root, count=8)
    config = TrialConfig(
        encoder=EncoderConfig(width=16, depth=1),
        predictor=PredictorConfig(width=16, depth=1),
        train=TrainConfig(batch_size=4),
    )
    return benchmark.Pipeline(benchmark.of_files(config), root=root, device=CPU)


def test_files_are_like_imagenets(benchmark, tmp_path):
    kilobytes = benchmark.write_photos(tmp_path, count=6)
    assert 40 < kilobytes < 120
    with benchmark.Image.open(tmp_path / "train" / "photo-1" / "00003.jpg") as image:
        assert image.size == (500, 375)


def test_every_stage_has_a_row(benchmark, pipeline):
    rows = pipeline.stages(rounds=2)
    assert [row.stage for row in rows] == ["decode", "crop", "photometric", "masks", "step"]
    assert all(row.images_per_s * row.ms_per_image == pytest.approx(1000, rel=0.1) for row in rows)
    assert "| decode | " in benchmark.table(rows, device=torch.device("cpu"), files="16 JPEG")


@pytest.mark.parametrize("workers", [0, 1])
def test_the_loader_and_the_whole_run_as_training_does(pipeline, workers):
    rows = pipeline.loader(workers=workers, batches=2), pipeline.whole(workers=workers, batches=2)
    assert [row.stage for row in rows] == [f"loader, {workers} workers", f"whole, {workers} workers"]
    assert {row.clock for row in rows} == {"wall"}
