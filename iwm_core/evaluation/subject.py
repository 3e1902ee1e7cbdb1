"""The networks under evaluation, with their trained weights and the place of their images.

Shapes: B batch, N patches, D encoder width, A scalars of the action.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from iwm_core.config import TrialConfig
from iwm_core.data.masks import Masks
from iwm_core.data.photometric import ACTION_DIM
from iwm_core.errors import ConfigError
from iwm_core.models.backbone import TIMM, backbone
from iwm_core.models.encoder import Encoder
from iwm_core.models.targets import Target
from iwm_core.objectives import table as objectives
from iwm_core.objectives.objective import Networks


class OnlyEncoder(Networks):
    """Networks that consist of an encoder only, such as a timm model."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def predict(self, z_BND: Tensor, a_BA: Tensor, masks: Masks) -> Tensor:
        raise ConfigError("these networks are an encoder without a predictor", setting="evaluate.protocol")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The networks under test, the input of every protocol; `pictures` is a folder for image files."""

    config: TrialConfig
    networks: Networks
    target: Target
    device: torch.device
    data_root: str = ""
    pictures: Path | None = None

    @property
    def encoder(self) -> Encoder:
        """The encoder that is evaluated: its EMA, unless the target is a frozen teacher."""
        return self.target.encoder if self.config.target == "ema" else self.networks.encoder

    @property
    def predictor(self) -> nn.Module:
        """The predictor under test.

        Raises:
            ConfigError: the networks have none.
        """
        found = getattr(self.networks, "predictor", None)
        if found is None:
            raise no_predictor(self.config)
        return found

    def untrained(self) -> Networks:
        """Return the networks before training, on the device, in evaluation mode."""
        return starting(self.config).to(self.device).eval()

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Set evaluation mode inside the block, without autocast and gradients; restore the modes afterwards."""
        with (
            evaluation_mode(self.networks, self.target),
            torch.no_grad(),
            torch.autocast(self.device.type, enabled=False),
        ):
            yield


@contextmanager
def evaluation_mode(*networks: nn.Module) -> Iterator[None]:
    """Set evaluation mode inside the block, and restore the mode of each module afterwards."""
    training = {module: module.training for network in networks for module in network.modules()}
    for network in networks:
        network.eval()
    try:
        yield
    finally:
        for module, mode in training.items():
            module.training = mode


def starting(config: TrialConfig) -> Networks:
    """Build the networks of a trial before training, on the CPU; a function of its seed.

    Raises:
        ConfigError: as `objectives.table.build` and `models.backbone`.
    """
    if config.pretrain.startswith(TIMM):
        return OnlyEncoder(backbone(config, name=config.pretrain.removeprefix(TIMM), weights=""))
    return objectives.build(config)


def public(config: TrialConfig, *, weights_file: str) -> Networks:
    """Load the timm model that `pretrain` names, with the weights that `evaluate.weights` names.

    Raises:
        ConfigError: as `models.backbone`.
    """
    name = config.pretrain.removeprefix(TIMM)
    return OnlyEncoder(backbone(config, name=name, weights=config.evaluate.weights, weights_file=weights_file))


def everywhere(z_BND: Tensor) -> Masks:
    """Return masks with every position as context and as target."""
    all_BN = torch.arange(z_BND.shape[1], device=z_BND.device).expand(len(z_BND), -1)
    return Masks(all_BN, all_BN)


def null_action(z_BND: Tensor) -> Tensor:
    """Return the identity action, zeros [B, A]."""
    return torch.zeros(len(z_BND), ACTION_DIM, device=z_BND.device)


def no_predictor(config: TrialConfig) -> ConfigError:
    """The error of a protocol that needs a predictor, on networks without one."""
    what = config.pretrain if config.pretrain.startswith(TIMM) else f"objective.kind={config.objective.kind}"
    protocol = config.evaluate.protocol or "mrr"
    why = (
        f"needs a predictor, and {what} has none; choose a protocol that tests an encoder, such as linear or attentive"
    )
    return ConfigError.wrong("evaluate.protocol", protocol, why)
