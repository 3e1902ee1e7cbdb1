r"""f_theta: a timm Vision Transformer that sees only the visible patches.

    z_k = norm(blocks(E patch(x)_k + pos_k)),   k in the visible set

Symbols: E the patch embedding, pos the fixed sine-cosine positions. No class token, no pooling, no head. Dropped
patches are neither embedded nor attended to, so a visible share of s costs about s of the whole. Source: I-JEPA [C1 J1]
on timm's ViT [timm 1.0.31], by public attributes only; with every patch visible this equals timm's own forward.

Shapes: B batch, C channels, H height, W width, N all patches, K visible patches, D width, P values of one patch.
"""

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from iwm_core.config import TrialConfig
from iwm_core.errors import ConfigError
from iwm_core.models.initialisation import xavier
from iwm_core.models.positions import sine_cosine
from iwm_core.models.recomputation import through


class Encoder(nn.Module):
    """Visible patches of an image to latents. timm's parameter names are kept under the prefix `vit.`."""

    def __init__(self, config: TrialConfig) -> None:
        """Draws the weights from torch's default generator.

        Raises:
            ConfigError: the patch does not divide the image, or the heads the width.
        """
        super().__init__()
        _check(config)
        self.width = config.encoder.width
        self.patch_size = config.encoder.patch_size
        self.vit = VisionTransformer(
            img_size=config.data.image_size,
            patch_size=self.patch_size,
            embed_dim=self.width,
            depth=config.encoder.depth,
            num_heads=config.encoder.heads,
            mlp_ratio=config.encoder.mlp_ratio,
            class_token=False,
            global_pool="",
            num_classes=0,
        )
        xavier(self.vit)
        position_ND = sine_cosine(self.width, rows=config.grid, columns=config.grid)
        self.vit.pos_embed = nn.Parameter(position_ND[None], requires_grad=False)

    def forward(self, x_BCHW: Tensor, *, keep_BK: Tensor | None = None) -> Tensor:
        """Latents of the patches `keep_BK` (indices in raster order; None: all of them), [B, K, D]."""
        patch_BKP, position_BKD = patchify(x_BCHW, size=self.patch_size), self.vit.pos_embed
        assert position_BKD is not None
        if keep_BK is not None:
            patch_BKP = gather(patch_BKP, index_BK=keep_BK)
            position_BKD = position_BKD[0, keep_BK]
        embed = self.vit.patch_embed.proj
        z_BKD = functional.linear(patch_BKP, embed.weight.flatten(1), embed.bias) + position_BKD
        z_BKD = self.vit.norm_pre(z_BKD)
        for block in self.vit.blocks:
            z_BKD = through(block, block, z_BKD)
        return self.vit.norm(z_BKD)


def patchify(x_BCHW: Tensor, *, size: int) -> Tensor:
    """Non-overlapping square patches of `size` pixels in raster order, [B, N, C * size * size]."""
    B, C, H, W = x_BCHW.shape
    x = x_BCHW.reshape(B, C, H // size, size, W // size, size)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(B, -1, C * size * size)


def gather(z_BND: Tensor, *, index_BK: Tensor) -> Tensor:
    """The rows z[b, index[b, k]], [B, K, D]."""
    return torch.gather(z_BND, 1, index_BK[:, :, None].expand(-1, -1, z_BND.shape[-1]))


def _check(config: TrialConfig) -> None:
    image, patch = config.data.image_size, config.encoder.patch_size
    if image % patch:
        raise ConfigError(f"encoder.patch_size {patch} does not divide data.image_size {image}")
    if config.encoder.width % config.encoder.heads:
        raise ConfigError(
            f"encoder.width {config.encoder.width} is not a multiple of encoder.heads {config.encoder.heads}"
        )
