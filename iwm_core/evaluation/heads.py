r"""Heads on latents: from an image's patches to its class, or to a class for every pixel.

    attentive   u = LN(z),  c = sum_n softmax_n(q . K u_n / sqrt(d)) V u_n  in each of H heads,  logits = W BN(O c) + b
    pixels      logits at a patch = W BN(z_n) + b, between patches bilinear

Symbols: z the latents of an image, q a learned query, K, V, O, W linear maps, d the width of a head. Source: one query
of cross-attention, as in IWM's head [C2 S1] and V-JEPA's probe [RECALLED, high]; without that probe's MLP [OURS].
BN, without parameters, is the batch norm before the classifier of MAE's linear probe [C1 MAE] and of DINOv2's linear
segmentation [RECALLED, high]: images differ little compared with what they share. On a toy encoder after 300 steps of
pretraining, 300 steps of the head at 3e-3 reach an accuracy of 0.62 on the digits; with LN instead, 0.55.

Shapes: B images, N patches, D width, H heads, F features of a head, K classes, G side of the grid, S pixels.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from iwm_core.config import TrialConfig
from iwm_core.errors import ConfigError
from iwm_core.randomness import torch_seed
from iwm_core.tensors import seeded


class AttentiveHead(nn.Module):
    """Latents [B, N, D] to logits [B, K]."""

    def __init__(self, width: int, *, heads: int, classes: int) -> None:
        """Draw the weights from torch's default generator.

        Raises:
            ConfigError: the heads do not divide the width.
        """
        super().__init__()
        if heads < 1 or width % heads:
            raise ConfigError.wrong("tune.head_heads", heads, f"does not divide the width {width} of the latents")
        self.query_HF = nn.Parameter(nn.init.trunc_normal_(torch.empty(heads, width // heads), std=0.02))
        self.enter, self.leave = nn.LayerNorm(width), nn.BatchNorm1d(width, affine=False)
        self.keys_values = nn.Linear(width, 2 * width)
        self.project = nn.Linear(width, width)
        self.classify = nn.Linear(width, classes)

    def forward(self, z_BND: Tensor) -> Tensor:
        heads = len(self.query_HF)
        k_BHNF, v_BHNF = (
            part_BND.unflatten(-1, (heads, -1)).transpose(1, 2)
            for part_BND in self.keys_values(self.enter(z_BND)).chunk(2, dim=-1)
        )
        q_BH1F = self.query_HF[None, :, None].expand(len(z_BND), -1, -1, -1).to(k_BHNF)
        c_BD = functional.scaled_dot_product_attention(q_BH1F, k_BHNF, v_BHNF).flatten(1)
        return self.classify(self.leave(self.project(c_BD)))


class PixelHead(nn.Module):
    """Latents [B, N, D] of a square grid to logits [B, K, S, S]."""

    def __init__(self, width: int, *, classes: int) -> None:
        super().__init__()
        self.enter = nn.BatchNorm1d(width, affine=False)
        self.classify = nn.Linear(width, classes)

    def forward(self, z_BND: Tensor, *, size: int) -> Tensor:
        G = math.isqrt(z_BND.shape[1])
        logits_BKGG = self.classify(self.enter(z_BND.mT).mT).mT.unflatten(2, (G, G))
        return functional.interpolate(logits_BKGG, size=(size, size), mode="bilinear", align_corners=False)


def attentive(config: TrialConfig, *, width: int, classes: int) -> AttentiveHead:
    """Build an attentive head; its weights are a function of the trial's seed."""
    with seeded(torch_seed(config.seed, "tune")):
        return AttentiveHead(width, heads=config.tune.head_heads, classes=classes)


def pixels(config: TrialConfig, *, width: int, classes: int) -> PixelHead:
    """Build a pixel head; its weights are a function of the trial's seed."""
    with seeded(torch_seed(config.seed, "tune")):
        return PixelHead(width, classes=classes)
