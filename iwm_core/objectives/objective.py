"""The interface of an objective: the networks that it trains, what they see of a batch, and a loss.

    objective = OBJECTIVES[config.objective.kind]
    drawn = objective.draw(part, config)                          views, masks: a function of (seed, step, sample)
    terms = objective.loss(networks, target, drawn, config)       under autocast; the loss itself in fp32

`draw` and `loss` are pure functions. To add an objective: a file with these three, and its line in `table.OBJECTIVES`.

Shapes: B batch, C channels, H height, W width, N all patches, M targets, D width of the latents, A action.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from iwm_core.config import TrialConfig
from iwm_core.data.masks import Masks
from iwm_core.models.encoder import Encoder
from iwm_core.models.targets import Target

PREDICTION_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": functional.mse_loss,
    "smooth_l1": functional.smooth_l1_loss,
}


class Networks(nn.Module, ABC):
    """Abstract: the networks that an objective trains, an encoder among them.

    One call of the module computes all that the objective needs of a batch, as DistributedDataParallel requires.
    """

    encoder: Encoder

    @abstractmethod
    def predict(self, z_BND: Tensor, a_BA: Tensor, masks: Masks) -> Tensor:
        """Predict the latents of y at `masks.target_BM`, [B, M, D], from the latents z of x at `masks.context_BK`."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """uint8 crops of step `step`, on the training device: samples `first`, `first` + 1, ... of the global batch."""

    image_BCHW: Tensor
    step: int
    first: int = 0


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The loss (0-dim) and what it compares: predictions [B, M, D] and the targets of every patch [B, N, D]."""

    loss: Tensor
    p_BMD: Tensor
    h_BND: Tensor

    def pooled(self) -> tuple[Tensor, Tensor]:
        """Targets and predictions averaged over positions, [B, D] each in fp32, without gradient: see `health`."""
        target_BD, prediction_BD = (latents.detach().float().mean(1) for latents in (self.h_BND, self.p_BMD))
        return target_BD, prediction_BD


@dataclass(frozen=True, kw_only=True)
class Objective:
    """An entry of the table.

    `networks` draws weights from torch's default generator. `loss` calls the networks exactly once, as a module.
    """

    networks: Callable[[TrialConfig], Networks]
    draw: Callable[[Part, TrialConfig], Any]
    loss: Callable[[Networks, Target, Any, TrialConfig], Terms]


def prediction_loss(p_BMD: Tensor, h_BMD: Tensor, *, kind: str = "mse") -> Tensor:
    """Mean over batch, positions and features, in fp32; `kind` is one of `PREDICTION_LOSSES`."""
    return PREDICTION_LOSSES[kind](p_BMD.float(), h_BMD.float())


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Disable autocast inside, on devices that have it (torch's `meta` does not)."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
