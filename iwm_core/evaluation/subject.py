"""What is evaluated: networks with their trained weights, and where their images are.

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
    """An encoder where networks are expected, and no predictor."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def predict(self, z_BND: Tensor, a_BA: Tensor, masks: Masks) -> Tensor:
        raise ConfigError("these networks are an encoder without a predictor", setting="evaluate.protocol")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The networks under test, as every protocol gets them; `pictures` is a folder for what is better seen."""

    config: TrialConfig
    networks: Networks
    target: Target
    device: torch.device
    data_root: str = ""
    pictures: Path | None = None

    @property
    def encoder(self) -> Encoder:
        """The encoder whose latents are judged: the moving average, where there is one."""
        return self.target.encoder if self.config.target == "ema" else self.networks.encoder

    @property
    def predictor(self) -> nn.Module:
        """The predictor under test.

        Raises:
            ConfigError: there is none.
        """
        found = getattr(self.networks, "predictor", None)
        if found is None:
            raise no_predictor(self.config)
        return found

    def untrained(self) -> Networks:
        """The networks as they started, on the device, in evaluation mode."""
        return starting(self.config).to(self.device).eval()

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Inside, fp32 without autocast or gradients, in evaluation mode; the networks are left as they were."""
        with (
            evaluation_mode(self.networks, self.target),
            torch.no_grad(),
            torch.autocast(self.device.type, enabled=False),
        ):
            yield


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


def starting(config: TrialConfig) -> Networks:
    """The networks of a trial before any training, on the CPU: a function of its seed.

    Raises:
        ConfigError: as `objectives.table.build` and `models.backbone`.
    """
    if config.pretrain.startswith(TIMM):
        return OnlyEncoder(backbone(config, name=config.pretrain.removeprefix(TIMM), weights=""))
    return objectives.build(config)


def public(config: TrialConfig, *, weights_file: str) -> Networks:
    """The timm model that `pretrain` names, with the weights that `evaluate.weights` names.

    Raises:
        ConfigError: as `models.backbone`.
    """
    name = config.pretrain.removeprefix(TIMM)
    return OnlyEncoder(backbone(config, name=name, weights=config.evaluate.weights, weights_file=weights_file))


def everywhere(z_BND: Tensor) -> Masks:
    """Every position as context and as target."""
    all_BN = torch.arange(z_BND.shape[1], device=z_BND.device).expand(len(z_BND), -1)
    return Masks(all_BN, all_BN)


def null_action(z_BND: Tensor) -> Tensor:
    """a_BA of no change at all."""
    return torch.zeros(len(z_BND), ACTION_DIM, device=z_BND.device)


def no_predictor(config: TrialConfig) -> ConfigError:
    """The error of a protocol that needs a predictor, on networks without one."""
    what = config.pretrain if config.pretrain.startswith(TIMM) else f"objective.kind={config.objective.kind}"
    protocol = config.evaluate.protocol or "mrr"
    return ConfigError(
        f"evaluate.protocol={protocol} needs a predictor, and {what} has none; choose a protocol that tests an encoder,"
        " such as linear, knn, attentive, encoder_finetune or segmentation",
        setting="evaluate.protocol",
        value=protocol,
    )
