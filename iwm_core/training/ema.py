r"""f_ema: the target encoder, an exponential moving average of the encoder.

    theta_ema <- m theta_ema + (1 - m) theta          after every optimiser step
    h = LN(f_ema(y)),  h_i = h at position i           LN without parameters, if `objective.target_norm`

Symbols: m the momentum of this step, y the target view. The whole view is encoded and then indexed, so targets are
contextual: masking the output and not the input is worth 11 points to I-JEPA [C1 J2]. The parameter-free LayerNorm is
I-JEPA's code, not its paper [C1 J1]; whether IWM has it is unknown.

Shapes: B batch, C channels, H height, W width, N all patches, M targets, D encoder width.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from iwm_core.models.encoder import Encoder, gather


@dataclass(frozen=True)
class Latents:
    """Target latents of every patch, [B, N, D]."""

    h_BND: Tensor

    def at(self, target_BM: Tensor) -> Tensor:
        """Those of the patches `target_BM`, [B, M, D]."""
        return gather(self.h_BND, index_BK=target_BM)


class TargetEncoder(nn.Module):
    """A copy of the encoder that follows it and has no gradient."""

    def __init__(self, encoder: Encoder, *, normalise: bool) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder).requires_grad_(False).eval()
        self.normalise = normalise

    @torch.no_grad()
    def forward(self, y_BCHW: Tensor) -> Latents:
        """Latents of every patch of the target view, in fp32, without gradient."""
        h_BND = self.latents(y_BCHW).float()
        return Latents(functional.layer_norm(h_BND, h_BND.shape[-1:]) if self.normalise else h_BND)

    def latents(self, y_BCHW: Tensor) -> Tensor:
        """Of every patch, [B, N, D], before they are normalised."""
        return self.encoder(y_BCHW)

    def fingerprint(self) -> dict[str, Any]:
        """What the targets depend on that is neither in the configuration nor in a checkpoint."""
        return {}

    @torch.no_grad()
    def update(self, encoder: Encoder, *, decay: float) -> None:
        """Moves every weight the share 1 - `decay` of the way to the encoder's."""
        moved, towards = tuple(self.encoder.parameters()), tuple(encoder.parameters())
        torch._foreach_lerp_(moved, towards, 1 - decay)  # pyright: ignore[reportPrivateImportUsage]
