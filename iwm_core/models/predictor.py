r"""p_phi: a narrow Vision Transformer from visible latents to the latents of the target patches.

    c_k = U z_k + pos_k                       one token per visible patch
    q_i = m + pos_i + U n_i                   one query per target patch, then conditioned on the action a
    p_i = V norm(blocks([tokens(a), c, q]))_i       the queries' outputs only

Symbols: U: encoder width -> D (in c_k with a bias), V: D -> width of the targets, m the learned mask token, pos fixed
sine-cosine positions, n_i ~ N(0, sigma^2 I) of encoder width where `predictor.position_noise` is sigma > 0, in training
alone: stochastic positions, whose covariance sigma^2 U U' is learned and, being tied to the context's map, cannot
shrink to nothing [C1 StoP]. StoP's code adds U's bias in place of m; here m stays, the same function.
Source: I-JEPA's predictor [C1 J1] with IWM's conditioning [C2 S1]; all targets in one pass [DERIVED; IMPL K1]. Only the
queries' outputs are used, so the last block computes only those: the same function, less work.
Deviation: weights start as in `block` [OURS].

Shapes: B batch, K context patches, M targets, N all patches, E encoder width, D predictor width, A action, T tokens.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from iwm_core.config import PredictorConfig, TrialConfig
from iwm_core.data.masks import Masks
from iwm_core.data.photometric import ACTION_DIM
from iwm_core.errors import ConfigError
from iwm_core.models import conditioning
from iwm_core.models.block import Block, xavier
from iwm_core.models.encoder import sine_cosine
from iwm_core.models.targets import width_of_targets


class Predictor(nn.Module):
    """Maps visible latents and an action to the latents of the target patches."""

    position_ND: Tensor

    def __init__(self, config: TrialConfig) -> None:
        """Draws the weights from torch's default generator.

        Raises:
            ConfigError: no block, heads that do not divide the width, or an unknown conditioning.
        """
        super().__init__()
        shape = config.predictor
        _check(shape)
        self.enter = nn.Linear(config.encoder.width, shape.width)
        self.mask_token_D = nn.Parameter(nn.init.trunc_normal_(torch.empty(shape.width), std=0.02))
        self.conditioning = conditioning.build(
            config.conditioning, width=shape.width, actions=ACTION_DIM, depth=shape.depth
        )
        self.blocks = nn.Sequential(
            *[Block(shape.width, heads=shape.heads, mlp_ratio=shape.mlp_ratio) for _ in range(shape.depth)]
        )
        self.norm = nn.LayerNorm(shape.width)
        self.leave = nn.Linear(shape.width, width_of_targets(config))
        xavier(self)
        position_ND = sine_cosine(shape.width, rows=config.grid, columns=config.grid)
        self.register_buffer("position_ND", position_ND, persistent=False)

    def forward(self, z_BKE: Tensor, a_BA: Tensor, masks: Masks, *, noise_BME: Tensor | None = None) -> Tensor:
        """Predict the latents at `masks.target_BM`, [B, M, E], from the latents at `masks.context_BK`."""
        c_BKD = self.enter(z_BKE) + self.position_ND[masks.context_BK]
        q_BMD = self.mask_token_D + self.position_ND[masks.target_BM]
        if noise_BME is not None:
            q_BMD = q_BMD + functional.linear(noise_BME, self.enter.weight)
        q_BMD, tokens_BTD, modulations = self.conditioning(q_BMD, a_BA)
        s_BSD = torch.cat([c_BKD, q_BMD] if tokens_BTD is None else [tokens_BTD, c_BKD, q_BMD], dim=1)
        final = len(self.blocks) - 1
        for at, (block, modulation) in enumerate(zip(self.blocks, modulations or [None] * (final + 1), strict=True)):
            s_BSD = block(s_BSD, modulation=modulation, last=q_BMD.shape[1] if at == final else None)
        return self.leave(self.norm(s_BSD))


def _check(shape: PredictorConfig) -> None:
    if shape.depth < 1:
        raise ConfigError.wrong("predictor.depth", shape.depth, "must be at least 1")
    if shape.width % shape.heads:
        raise ConfigError.wrong("predictor.heads", shape.heads, f"does not divide predictor.width={shape.width}")
