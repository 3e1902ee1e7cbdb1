"""A process group on the device: NCCL for its tensors, gloo for the CPU's; of one rank, since there is one GPU."""

import dataclasses

import pytest
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from iwm_core.training import numerics
from iwm_core.training.distributed import World
from iwm_core.training.step import optimise
from tests.gpu.trials import SMALL, built, changed, exact, images


@pytest.fixture
def world(device, monkeypatch):
    """A rank among two, of which it believes the other to be there: so it exchanges what one alone would not."""
    for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        monkeypatch.setenv(variable, "lo")
    alone = World(store=distributed.HashStore())  # pyright: ignore[reportPrivateImportUsage]
    alone.start(device)
    yield dataclasses.replace(alone, ranks=2)
    distributed.destroy_process_group()


def test_a_step_through_data_parallel_networks_is_the_step_without(device, world):
    config = exact(changed(SMALL, {"train.accumulate": 2}), "bf16")
    image_BCHW, outcomes = images(config, device), []
    for parallel in (False, True):
        made = built(config, device)
        networks = world.parallel(made.networks) if parallel else made.networks
        assert isinstance(networks, DistributedDataParallel) is parallel
        with numerics.arithmetic(config.train, device=device):
            steps = [optimise(made, image_BCHW=image_BCHW, config=config, called=networks) for _ in range(3)]
        outcomes.append([float(value) for step in steps for value in (step.loss, step.grad_norm)])
    assert outcomes[1] == pytest.approx(outcomes[0], rel=1e-5)


def test_tensors_of_the_device_and_of_the_host_are_exchanged(device, world):
    x_D = torch.arange(4.0, device=device)
    assert torch.equal(world.least(x_D), x_D)
    assert torch.equal(world.mean(x_D), x_D / 2)  # of two, of which one says nothing
    payload = {"weights": [torch.arange(3.0)], "step": 1}
    assert world.share(payload) is payload
    assert ("nccl" in distributed.get_backend_config()) is (device.type == "cuda")
