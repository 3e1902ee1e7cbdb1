"""Ranks agree with one rank to float tolerance, stop together, and go on as another number of them."""

import dataclasses
import os
import shutil

import pytest
import torch

from iwm_core.config import ConditioningConfig, ObjectiveConfig
from iwm_core.events import is_telemetry
from iwm_core.training.distributed import ALONE, World
from tests.iwm_core.objectives.test_training import KINDS, changed
from tests.iwm_core.training.ranks import RUNTIME, Told, run_ranks, together, weights, with_train

STEPS = 6


@pytest.fixture
def short(tiny):
    """A few steps, since a difference in rounding grows with every one."""
    return with_train(tiny, steps=STEPS, log_every=1)


def _has_nothing_to_train(world, said):
    if not world.leads:
        said.write_text("called" if world.is_called() else "not called")


def _is_gone(world, said):
    if world.leads:
        world.store.wait(["came"])
        os._exit(9)
    world.store.set("came", "")
    _has_nothing_to_train(world, said)


def curve(said):
    """Step -> metrics without the wall clock's."""
    steps = [event for event in said if event["event"] == "step"]
    return {e["step"]: {key: v for key, v in e["metrics"].items() if not is_telemetry(key)} for e in steps}


def assert_close(first, second, *, rel=2e-4):
    assert first.keys() == second.keys()
    for step, metrics in first.items():
        assert second[step] == pytest.approx(metrics, rel=rel, abs=1e-5), step


def assert_same_weights(first, second, *, shifts=("attn.qkv.bias",)):
    """Attention ignores the keys' bias (`shifts`): its gradient is rounding, which Adam makes a step of 1."""
    expected, found = weights(first), weights(second)
    for name, value in expected.items():
        if name.endswith(shifts):
            continue
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("ranks", "accumulate"), [(2, 1), (4, 1), (1, 4), (2, 2)])
def test_a_batch_dealt_out_gives_the_steps_of_one_rank(short, tmp_path, ranks, accumulate):
    alone = together(1, short, folder=tmp_path / "alone")
    said = together(ranks, with_train(short, accumulate=accumulate), folder=tmp_path / "together")
    assert said[0]["ranks"] == ranks
    assert_close(curve(alone), curve(said))
    assert_same_weights(tmp_path / "alone", tmp_path / "together")


def test_a_loss_of_the_whole_batch_sees_the_whole_batch_on_every_rank(short, tmp_path):
    vicreg = dataclasses.replace(
        short, objective=ObjectiveConfig(kind="vicreg"), conditioning=ConditioningConfig(kind="none")
    )
    alone = together(1, vicreg, folder=tmp_path / "alone")
    said = together(2, vicreg, folder=tmp_path / "together")
    assert_close(curve(alone), curve(said), rel=2e-3)
    assert_close({1: curve(alone)[1]}, {1: curve(said)[1]})
    shifts = ("attn.qkv.bias", "encoder.vit.norm.bias")  # batch normalisation takes out what all images share
    assert_same_weights(tmp_path / "alone", tmp_path / "together", shifts=shifts)


def test_several_target_sequences_are_those_of_the_global_batch(short, tmp_path):
    config = changed(short, KINDS["ijepa"])
    alone, said = (together(ranks, config, folder=tmp_path / f"{ranks}") for ranks in (1, 2))
    assert_close(curve(alone), curve(said), rel=2e-3)
    assert_close({1: curve(alone)[1]}, {1: curve(said)[1]}, rel=1e-6)


def test_two_ranks_in_bf16_with_micro_batches_recomputation_and_loader_workers(short, tmp_path):
    config = with_train(short, precision="bf16", accumulate=2, online_every=3)
    runtime = dataclasses.replace(RUNTIME, checkpoint_activations=True, loader_workers=1)
    said = together(2, config, folder=tmp_path / "2", runtime=runtime)
    alone = together(1, config, folder=tmp_path / "1")
    assert {step for step, metrics in curve(said).items() if "online_mrr" in metrics} == {3, 6}
    for step, metrics in curve(alone).items():
        assert curve(said)[step]["loss"] == pytest.approx(metrics["loss"], rel=0.02)


@pytest.mark.slow
def test_two_compiled_ranks_agree_with_one_that_is_not(short, tmp_path):
    if not shutil.which("g++"):
        pytest.skip("torch.compile needs a C++ compiler on the CPU")
    alone = together(1, short, folder=tmp_path / "alone")
    said = together(2, with_train(short, compile=True), folder=tmp_path / "together")
    assert said[0]["ranks"] == 2
    assert_close(curve(alone), curve(said))
    assert_same_weights(tmp_path / "alone", tmp_path / "together")


@pytest.mark.parametrize(("first", "then"), [(2, 1), (1, 2)])
def test_a_run_goes_on_as_another_number_of_ranks(short, tmp_path, first, then):
    alone = together(1, short, folder=tmp_path / "alone")
    stopped = together(first, short, folder=tmp_path / "run", told={0: Told(stop_at=3)})
    ended = together(then, short, folder=tmp_path / "run", attempt=1)
    assert stopped[-1]["event"] == "preempted"
    assert ended[0]["step"] == stopped[-1]["step"]
    assert ended[-1]["event"] == "finished"
    assert_close(curve(alone), curve(stopped) | curve(ended))


def test_on_the_same_number_of_ranks_an_interruption_changes_no_bit(short, tmp_path):
    twin = together(2, short, folder=tmp_path / "twin")
    stopped = together(2, short, folder=tmp_path / "run", told={1: Told(stop_at=3)})
    ended = together(2, short, folder=tmp_path / "run", attempt=1)
    assert curve(stopped) | curve(ended) == curve(twin)
    assert ended[-1]["weights_sha256"] == twin[-1]["weights_sha256"]


def test_a_signal_to_one_of_two_ranks_ends_in_one_checkpoint(short, tmp_path):
    said = together(2, short, folder=tmp_path, told={1: Told(stop_at=2)})
    assert said[-1] | {"t": 0} == {"t": 0, "event": "preempted", "step": 5, "signal": "SIGTERM"}
    assert [path.name for path in (tmp_path / "checkpoints").glob("*.pt")] == ["step-00000005-a0000.pt"]


@pytest.mark.parametrize(("dies", "left"), [(0, 1), (1, 0)])
def test_no_rank_waits_for_ever_for_one_that_died(short, tmp_path, dies, left):
    codes = run_ranks(2, _one_dies, [(short, tmp_path, dies)] * 2)
    assert codes[dies] == 9
    assert codes[left] == 1


def _one_dies(world, config, folder, dies):
    from tests.iwm_core.training.ranks import _train

    _train(world, config, RUNTIME, folder, 0, folder / "said", Told(die_at=3 * (world.rank == dies)))


@pytest.mark.parametrize("leaves", [_has_nothing_to_train, _is_gone])
def test_ranks_that_are_not_called_leave(tmp_path, leaves):
    run_ranks(2, leaves, [(tmp_path / "said",)] * 2)
    assert (tmp_path / "said").read_text() == "not called"


def test_the_rows_of_all_ranks_are_the_batch_in_its_order():
    assert [list(range(12))[World(rank=rank, ranks=3).rows(12)] for rank in range(3)] == [
        [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11],
    ]  # fmt: skip
    assert list(range(5))[ALONE.rows(5)] == [0, 1, 2, 3, 4]
