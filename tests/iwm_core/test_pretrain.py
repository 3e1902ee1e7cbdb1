import dataclasses
import random
import resource

import numpy as np
import pytest
import torch

from iwm_core.errors import CheckpointError, NonFiniteLossError
from iwm_core.events import Checkpoint, Evaluated, Finished, Preempted, is_telemetry
from iwm_core.training.checkpoint import CheckpointFolder


def with_precision(config, precision):
    return dataclasses.replace(config, train=dataclasses.replace(config.train, precision=precision))


def merged(*attempts):
    """The trial's curve over its attempts; a step that was done twice must have said the same twice."""
    curve = {}
    for attempt in attempts:
        for step, metrics in attempt.curve.items():
            assert curve.setdefault(step, metrics) == metrics
    return curve


def of(kind, attempt):
    return [event for event in attempt.events if isinstance(event, kind)]


def test_an_undisturbed_run_says_all_it_should(tiny, run):
    seen = run(tiny)
    assert (seen.resumed_from, seen.skipped) == (0, [])
    assert list(seen.curve) == [2, 4, 6, 8, 10]
    assert [event.step for event in of(Checkpoint, seen)] == [4, 8, 10]
    assert of(Evaluated, seen)
    assert seen.events[-1] == seen.end
    assert isinstance(seen.end, Finished)


def test_the_final_metrics_are_flat_and_repeat_the_last_step(tiny, run):
    seen = run(tiny)
    assert isinstance(seen.end, Finished)
    last = seen.curve[10]
    assert {name: seen.end.metrics[name] for name in ("loss", "target_std", "effective_rank")} == {
        name: last[name] for name in ("loss", "target_std", "effective_rank")
    }
    assert {"mrr", "mrr_floor", "linear_probe_top1"} <= set(seen.end.metrics)


@pytest.mark.parametrize(("precision", "workers"), [("fp32", 0), ("fp32", 2), ("bf16", 0)])
def test_stopped_and_killed_it_ends_with_the_bits_of_an_undisturbed_twin(tiny, run, tmp_path, precision, workers):
    config = with_precision(tiny, precision)
    twin = run(config, folder=tmp_path / "twin")
    stopped = run(config, stop_after=3, loader_workers=workers)
    killed = run(config, attempt=1, kill_after=4, loader_workers=workers)
    ended = run(config, attempt=2, loader_workers=workers)
    assert stopped.end == Preempted(step=3, signal="SIGTERM")
    assert (killed.resumed_from, killed.end, ended.resumed_from) == (3, None, 4)
    assert merged(stopped, killed, ended) == twin.curve
    assert isinstance(ended.end, Finished)
    assert isinstance(twin.end, Finished)
    assert ended.end.weights_sha256 == twin.end.weights_sha256
    assert untimed(ended.end.metrics) == untimed(twin.end.metrics)


def untimed(metrics):
    return {name: value for name, value in metrics.items() if not is_telemetry(name)}


def test_stopped_after_the_last_step_it_still_evaluates_and_says_the_same(tiny, run, tmp_path):
    twin, stopped = run(tiny, folder=tmp_path / "twin"), run(tiny, stop_after=10)
    ended = run(tiny, attempt=1)
    assert stopped.end == Preempted(step=10, signal="SIGTERM")
    assert (ended.resumed_from, ended.curve) == (10, {})
    assert isinstance(ended.end, Finished)
    assert isinstance(twin.end, Finished)
    assert untimed(ended.end.metrics) == untimed(twin.end.metrics)


def test_a_truncated_newest_checkpoint_falls_back_and_says_so(tiny, run, tmp_path):
    twin = run(tiny)
    newest = tmp_path / "checkpoints" / "step-00000010-a0000.pt"
    newest.write_bytes(newest.read_bytes()[:1000])
    again = run(tiny, attempt=1)
    assert again.resumed_from == 8
    assert "step-00000010-a0000.pt was skipped" in again.skipped[0]
    assert isinstance(again.end, Finished)
    assert isinstance(twin.end, Finished)
    assert again.end.weights_sha256 == twin.end.weights_sha256


def test_a_loss_that_is_not_finite_keeps_its_batch_and_the_checkpoints(tiny, run, tmp_path):
    run(tiny, stop_after=4)
    wild = dataclasses.replace(tiny, optim=dataclasses.replace(tiny.optim, lr=1e30))
    with pytest.raises(NonFiniteLossError, match=r"in step \d of 10; its batch is kept in .*nonfinite-step-0000000"):
        run(wild, attempt=1, checkpoint_every_steps=1)
    folder = tmp_path / "checkpoints"
    kept = torch.load(next(folder.glob("nonfinite-*.pt")), weights_only=True)
    assert kept["image_BCHW"].shape == (8, 3, 16, 16)
    found, step, skipped = CheckpointFolder(folder).newest()
    assert found is not None
    assert (step, skipped) == (4, [])
    assert all(torch.isfinite(weight).all() for weight in found["world_model"].values())


def test_what_the_disk_refuses_ends_the_run_and_the_checkpoints_before_it_stay(tiny, run, tmp_path):
    run(tiny, stop_after=3)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(CheckpointError) as caught:
            run(tiny, attempt=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.path == tmp_path / "checkpoints"
    assert run(tiny, attempt=2).resumed_from == 3


def test_the_global_random_states_and_settings_are_left_alone(tiny, run):
    def everything():
        flags = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
        return torch.get_rng_state().tolist(), str(np.random.get_state()), random.getstate(), flags

    before = everything()
    run(tiny)
    assert everything() == before
