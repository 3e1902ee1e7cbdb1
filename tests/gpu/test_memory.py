"""Memory of the device: fewer activations, checkpoints behind training, and an end that says what helps."""

import gc

import pytest
import torch
from torch.utils._pytree import tree_flatten, tree_map

from iwm_core.config import RuntimeConfig
from iwm_core.errors import DeviceMemoryError
from iwm_core.training import numerics
from iwm_core.training.distributed import ALONE
from iwm_core.training.state import weights_sha256
from iwm_core.training.step import optimise, prepared
from iwm_core.training.writer import CheckpointWriter
from tests.fakes.held_checkpoints import Held
from tests.gpu.trials import CASES, SMALL, WIDE, attempt, built, changed, exact, images


def after_two_steps(config, device, *, recomputed):
    """The digest of the weights."""
    made, image_BCHW = built(config, device), images(config, device)
    runtime = RuntimeConfig(checkpoint_activations=recomputed)
    networks = prepared(made, config=config, runtime=runtime, world=ALONE)
    with numerics.arithmetic(config.train, device=device):
        for _ in range(2):
            optimise(made, image_BCHW=image_BCHW, config=config, called=networks)
    return weights_sha256(made)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("case", ["iwm", "iwm, adaln", "vicreg"])
def test_activations_that_are_computed_twice_change_no_bit(case, precision, device):
    config = exact(changed(SMALL, CASES[case]), precision)
    kept, twice = (after_two_steps(config, device, recomputed=recomputed) for recomputed in (False, True))
    assert kept == twice


def test_fewer_activations_take_less_memory(cuda):
    config, peaks = changed(WIDE, {"train.batch_size": 256, "encoder.depth": 8}), []
    for recomputed in (False, True):
        gc.collect()
        torch.cuda.reset_peak_memory_stats()
        after_two_steps(config, cuda, recomputed=recomputed)
        peaks.append(torch.cuda.max_memory_allocated())
    assert peaks[1] < 0.7 * peaks[0], peaks


def test_a_checkpoint_is_the_state_of_its_step_although_training_goes_on(device, tmp_path):
    made, image_BCHW, folder = built(SMALL, device), images(SMALL, device), Held(tmp_path)

    def train(steps):
        for _ in range(steps):
            optimise(made, image_BCHW=image_BCHW, config=SMALL)

    with CheckpointWriter(folder, device=device, written=lambda *_: None) as writer:
        for step in (2, 7):  # the second goes into the memory of the first
            train(2)
            copies = tree_map(lambda x: x.clone() if isinstance(x, torch.Tensor) else x, made.state_dict())
            writer.save(made.state_dict(), step=step)
            train(3)
            folder.let.set()
            writer.wait()
            folder.let.clear()
            assert_equal(folder.newest().payload, copies)


def assert_equal(found, expected):
    (left, one), (right, other) = (tree_flatten(value) for value in (found, expected))
    assert one == other
    for a, b in zip(left, right, strict=True):
        assert torch.equal(a, b.cpu()) if isinstance(a, torch.Tensor) else a == b


def test_a_full_gpu_ends_the_attempt_in_an_error_of_ours(cuda, tmp_path):
    room = torch.cuda.memory_reserved() + 2**26
    torch.cuda.set_per_process_memory_fraction(room / torch.cuda.get_device_properties(cuda).total_memory)
    config = changed(WIDE, {"train.batch_size": 512, "train.steps": 2})
    with pytest.raises(DeviceMemoryError):
        attempt(config, cuda, folder=tmp_path)
    torch.cuda.set_per_process_memory_fraction(1.0)
    assert attempt(SMALL, cuda, folder=tmp_path / "then").end  # the process is sound
