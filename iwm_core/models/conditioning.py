r"""How the action a reaches the predictor.

    none      q_i                                                       a is ignored: the invariant control
    sequence  q_i, and one more token per scalar: t_j = a_j w_j + b_j   w_j, b_j ~ N(0, 0.5^2), learned
    feature   MLP(concat(q_i, a)),  back to the predictor's width       context tokens are not touched
    adaln     x + g f(LN(x) (1 + s) + b),   (b, s, g) = W_l silu(e(a)) + w_l      both branches f of every block l

Symbols: q_i = mask token + position of target i; a_j scalar j of the action; identity is a = 0; e a small MLP.
Source: IWM, both conditionings and their comparison [C2 S1]; Linear-ReLU-Linear-ReLU-Linear without output norm for
`feature` [IMPL K1]; one projection per scalar for `sequence` [RECALLED, high], since attention could not tell bare
scalars apart; its scale 0.5 [OURS], near that of the positions it competes with. `adaln` is AdaLN-zero as in IWM's
successors [C1 K5, K7]; e = Linear-SiLU-Linear as DiT embeds its time step [RECALLED, high]. The block's norm keeps its
weights, which DiT removes.

Zero start: W_l = w_l = 0, so g = 0 and every block starts as the identity. The prediction is then a function of the
position only. In the first step only the gates get gradients, not the encoder, since no context passes a closed gate;
from the second step on the whole network learns. Unlike in fine-tuning
there is nothing pretrained to protect; the benefit is a predictor that starts as the mean latent of a position and uses
context and action as far as they help. The bias w_l opens gates also at a = 0.

To add one: a class, its line in `CONDITIONINGS`, a file in `sweeps/conditioning/`. See docs/tutorial.md.

Shapes: B batch, M targets, D predictor width, A scalars of the action, T further tokens.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from iwm_core.config import ConditioningConfig
from iwm_core.errors import ConfigError
from iwm_core.models.block import Change, Modulation, ZeroLinear


class Conditioned(NamedTuple):
    """The queries [B, M, D], optional extra tokens [B, T, D], and an optional modulation of each block."""

    q_BMD: Tensor
    tokens_BTD: Tensor | None = None
    modulations: list[Modulation] | None = None


class NoConditioning(nn.Module):
    """The predictor is blind to the action."""

    def __init__(self, config: ConditioningConfig, *, width: int, actions: int, depth: int) -> None:
        super().__init__()

    def forward(self, q_BMD: Tensor, a_BA: Tensor) -> Conditioned:
        return Conditioned(q_BMD)


class SequenceConditioning(nn.Module):
    """One token per scalar of the action joins the sequence."""

    def __init__(self, config: ConditioningConfig, *, width: int, actions: int, depth: int) -> None:
        super().__init__()
        self.slope_AD = nn.Parameter(torch.randn(actions, width) * 0.5)
        self.offset_AD = nn.Parameter(torch.randn(actions, width) * 0.5)

    def forward(self, q_BMD: Tensor, a_BA: Tensor) -> Conditioned:
        return Conditioned(q_BMD, a_BA[:, :, None] * self.slope_AD + self.offset_AD)


class FeatureConditioning(nn.Module):
    """A small MLP mixes the action into every query."""

    def __init__(self, config: ConditioningConfig, *, width: int, actions: int, depth: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(width + actions, width)]
        for _ in range(config.layers - 1):
            layers += [ACTIVATIONS[config.activation](), nn.Linear(width, width)]
        self.mlp = nn.Sequential(*layers)

    def forward(self, q_BMD: Tensor, a_BA: Tensor) -> Conditioned:
        a_BMA = a_BA[:, None, :].expand(-1, q_BMD.shape[1], -1)
        return Conditioned(self.mlp(torch.cat([q_BMD, a_BMA], dim=-1)))


class AdaLNConditioning(nn.Module):
    """The action shifts, scales and gates both branches of every block."""

    def __init__(self, config: ConditioningConfig, *, width: int, actions: int, depth: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(actions, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.modulate = nn.ModuleList([ZeroLinear(width, 6 * width) for _ in range(depth)])

    def forward(self, q_BMD: Tensor, a_BA: Tensor) -> Conditioned:
        e_B1D = self.embed(a_BA)[:, None]
        parts = [modulate(e_B1D).chunk(6, dim=-1) for modulate in self.modulate]
        return Conditioned(q_BMD, modulations=[Modulation(Change(*six[:3]), Change(*six[3:])) for six in parts])


class Conditioning(Protocol):
    """An entry of the table: builds a module for a predictor of this width and depth, called with (queries, action).

    The module may change the queries, add tokens to the sequence and modulate the blocks; see `Conditioned`.
    """

    def __call__(self, config: ConditioningConfig, *, width: int, actions: int, depth: int) -> nn.Module: ...


ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}

CONDITIONINGS: dict[str, Conditioning] = {
    "none": NoConditioning,
    "sequence": SequenceConditioning,
    "feature": FeatureConditioning,
    "adaln": AdaLNConditioning,
}


def build(config: ConditioningConfig, *, width: int, actions: int, depth: int) -> nn.Module:
    """Build the conditioning `config.kind` for `depth` blocks of `width` and an action of `actions` scalars.

    Raises:
        ConfigError: an unknown kind.
    """
    if config.kind not in CONDITIONINGS:
        raise ConfigError.unknown("conditioning", config.kind, choices=CONDITIONINGS, setting="conditioning.kind")
    return CONDITIONINGS[config.kind](config, width=width, actions=actions, depth=depth)
