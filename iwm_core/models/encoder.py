r"""f_theta: a Vision Transformer on the visible patches only.

    z_k = norm(blocks(E patch(x)_k + pos_k)),   k in the visible set

    pos of the patch at (row, column) = concat(e(column), e(row)),    w = D/2
    e(t)_i = sin(t / 10000^(2i/w)),   e(t)_{w/2+i} = cos(t / 10000^(2i/w)),   i = 0 .. w/2 - 1

Symbols: E the patch embedding, pos the fixed sine-cosine positions. No class token, no pooling, no head. Masked
patches are neither embedded nor attended to, so a visible share s costs about s times the full image.
Source: I-JEPA [C1 J1], with the parameters of timm's ViT [timm 1.0.31] around our own block; with every patch visible
this equals timm's own forward. Positions as in MAE's and I-JEPA's code, columns first [C1]; IWM is assumed to inherit
them.

Shapes: B batch, C channels, H height, W width, N patches in raster order, K visible patches, D width, P values of a
patch.
"""

from abc import ABC, abstractmethod
from typing import Any, final

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from iwm_core.config import TrialConfig
from iwm_core.errors import ConfigError
from iwm_core.models.block import Block, xavier


class Encoder(nn.Module, ABC):
    """Abstract: maps images to a latent of `width` per patch of `patch_size` pixels. Its model is `vit`."""

    vit: Any
    width: int
    patch_size: int

    @abstractmethod
    def forward(self, x_BCHW: Tensor, *, keep_BK: Tensor | None = None) -> Tensor:
        """Return the latents [B, K, D] of the patches `keep_BK` (indices in raster order; None: all)."""


@final
class ViTEncoder(Encoder):
    """The trained encoder. Parameters have timm's names under the prefix `vit.`."""

    def __init__(self, config: TrialConfig) -> None:
        """Draws the weights from torch's default generator.

        Raises:
            ConfigError: the patch does not divide the image, or the heads the width.
        """
        super().__init__()
        _check(config)
        shape = config.encoder
        self.width, self.patch_size = shape.width, shape.patch_size
        self.vit = VisionTransformer(
            img_size=config.data.image_size,
            patch_size=shape.patch_size,
            embed_dim=shape.width,
            depth=shape.depth,
            class_token=False,
            global_pool="",
            num_classes=0,
            block_fn=lambda **_: Block(shape.width, heads=shape.heads, mlp_ratio=shape.mlp_ratio),  # pyright: ignore[reportArgumentType]
        )
        xavier(self.vit)
        position_ND = sine_cosine(self.width, rows=config.grid, columns=config.grid)
        self.vit.pos_embed = nn.Parameter(position_ND[None], requires_grad=False)

    def forward(self, x_BCHW: Tensor, *, keep_BK: Tensor | None = None) -> Tensor:
        patch_BKP, position_BKD = patchify(x_BCHW, size=self.patch_size), self.vit.pos_embed
        if keep_BK is not None:
            patch_BKP = gather(patch_BKP, index_BK=keep_BK)
            position_BKD = position_BKD[0, keep_BK]
        embed = self.vit.patch_embed.proj
        z_BKD = functional.linear(patch_BKP, embed.weight.flatten(1), embed.bias) + position_BKD
        return self.vit.norm(self.vit.blocks(z_BKD))


def patchify(x_BCHW: Tensor, *, size: int) -> Tensor:
    """Return non-overlapping square patches of `size` pixels in raster order, [B, N, C * size * size]."""
    B, C, H, W = x_BCHW.shape
    x = x_BCHW.reshape(B, C, H // size, size, W // size, size)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(B, -1, C * size * size)


def gather(z_BND: Tensor, *, index_BK: Tensor) -> Tensor:
    """Return the rows z[b, index[b, k]], [B, K, D]."""
    return torch.gather(z_BND, 1, index_BK[:, :, None].expand(-1, -1, z_BND.shape[-1]))


def sine_cosine(width: int, *, rows: int, columns: int) -> Tensor:
    """Return the positions of a grid of patches, float32 [N, D] with N = rows * columns.

    Raises:
        ConfigError: `width` is not a multiple of four.
    """
    if width % 4:
        raise ConfigError.wrong("width", width, "is not a multiple of 4, as sine-cosine positions need")
    row_N = torch.arange(rows).repeat_interleave(columns)
    column_N = torch.arange(columns).repeat(rows)
    return torch.cat([_line(width // 2, at_N=column_N), _line(width // 2, at_N=row_N)], dim=1).float()


def _line(width: int, *, at_N: Tensor) -> Tensor:
    """e(t) of the formula, in float64, [N, width]."""
    frequency = 10000.0 ** (-torch.arange(width // 2, dtype=torch.float64) / (width / 2))
    angle = at_N.double()[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def _check(config: TrialConfig) -> None:
    image, patch = config.data.image_size, config.encoder.patch_size
    if image % patch:
        raise ConfigError.wrong("encoder.patch_size", patch, f"does not divide data.image_size={image}")
    if config.encoder.width % config.encoder.heads:
        raise ConfigError.wrong(
            "encoder.heads", config.encoder.heads, f"does not divide encoder.width={config.encoder.width}"
        )
