"""The evaluation of one pair of networks at the end of pretraining, or as it was then: the protocols of `AT_THE_END`.

Each is a function from (configuration, networks) to metrics, whose names do not repeat. What a trial of its own can
measure beyond these is in `protocols`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import nn

from iwm_core.config import TrialConfig
from iwm_core.evaluation import mrr, probes
from iwm_core.models.targets import Target
from iwm_core.objectives.objective import Networks


class Measure(Protocol):
    """What the table holds."""

    def __call__(
        self,
        config: TrialConfig,
        *,
        networks: Networks,
        target: Target,
        device: torch.device,
        data_root: str,
    ) -> dict[str, float]: ...


AT_THE_END: dict[str, Measure] = {
    "mrr": mrr.measure,
    "linear": probes.measure,
}


def evaluate(
    config: TrialConfig, *, networks: Networks, target: Target, device: torch.device, data_root: str
) -> dict[str, dict[str, float]]:
    """Metrics by protocol, a function of the configuration and the weights; the networks are left as they were.

    Raises:
        DataError: images that cannot be read.
    """
    return {
        name: run_protocol(name, config, networks=networks, target=target, device=device, data_root=data_root)
        for name in AT_THE_END
    }


def run_protocol(
    name: str,
    config: TrialConfig,
    *,
    networks: Networks,
    target: Target,
    device: torch.device,
    data_root: str,
) -> dict[str, float]:
    """Metrics of the protocol `name`; the networks are left as they were.

    Runs in fp32 without autocast and without gradients, in evaluation mode. `data_root` is the folder of `imagefolder`.

    Raises:
        DataError: images that cannot be read.
    """
    with evaluation_mode(networks, target), torch.no_grad(), torch.autocast(device.type, enabled=False):
        return AT_THE_END[name](config, networks=networks, target=target, device=device, data_root=data_root)


@contextmanager
def evaluation_mode(*networks: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; afterwards each module is back in the mode it had."""
    training = {module: module.training for network in networks for module in network.modules()}
    for network in networks:
        network.eval()
    try:
        yield
    finally:
        for module, mode in training.items():
            module.training = mode
