r"""How the predictor learns of the action a.

    none      q_i                                                       a is ignored: the invariant control
    sequence  q_i, and one more token per scalar: t_j = a_j w_j + b_j   w_j, b_j ~ N(0, 0.5^2), learned
    feature   MLP(concat(q_i, a)),  back to the predictor's width       context tokens are not touched

Symbols: q_i = mask token + position of target i; a_j scalar j of the action; identity is a = 0.
Source: IWM, both conditionings and their comparison [C2 S1]; Linear-ReLU-Linear-ReLU-Linear without output norm for
`feature` [IMPL K1]; one projection per scalar for `sequence` [RECALLED, high], since attention could not tell bare
scalars apart; its scale 0.5 [OURS], near that of the positions it competes with.

To add one: a class, its line in `CONDITIONINGS`, a file in `sweeps/conditioning/`.

Shapes: B batch, M targets, D predictor width, A scalars of the action, T further tokens.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from iwm_core.config import ConditioningConfig
from iwm_core.errors import ConfigError

Conditioned = tuple[Tensor, Tensor | None]
"""The queries [B, M, D] and further tokens [B, T, D], if there are any."""


class NoConditioning(nn.Module):
    """The predictor is blind to the action."""

    def __init__(self, config: ConditioningConfig, *, width: int, actions: int) -> None:
        super().__init__()

    def forward(self, q_BMD: Tensor, a_BA: Tensor) -> Conditioned:
        return q_BMD, None


class SequenceConditioning(nn.Module):
    """One token per scalar of the action joins the sequence."""

    def __init__(self, config: ConditioningConfig, *, width: int, actions: int) -> None:
        super().__init__()
        self.slope_AD = nn.Parameter(torch.randn(actions, width) * 0.5)
        self.offset_AD = nn.Parameter(torch.randn(actions, width) * 0.5)

    def forward(self, q_BMD: Tensor, a_BA: Tensor) -> Conditioned:
        return q_BMD, a_BA[:, :, None] * self.slope_AD + self.offset_AD


class FeatureConditioning(nn.Module):
    """The action is mixed into every query by a small MLP."""

    def __init__(self, config: ConditioningConfig, *, width: int, actions: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(width + actions, width)]
        for _ in range(config.layers - 1):
            layers += [ACTIVATIONS[config.activation](), nn.Linear(width, width)]
        self.mlp = nn.Sequential(*layers)

    def forward(self, q_BMD: Tensor, a_BA: Tensor) -> Conditioned:
        a_BMA = a_BA[:, None, :].expand(-1, q_BMD.shape[1], -1)
        return self.mlp(torch.cat([q_BMD, a_BMA], dim=-1)), None


class Conditioning(Protocol):
    """What the table holds: a module built from (config, width, actions) and called with (queries, action)."""

    def __call__(self, config: ConditioningConfig, *, width: int, actions: int) -> nn.Module: ...


ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}

CONDITIONINGS: dict[str, Conditioning] = {
    "none": NoConditioning,
    "sequence": SequenceConditioning,
    "feature": FeatureConditioning,
}


def build(config: ConditioningConfig, *, width: int, actions: int) -> nn.Module:
    """The conditioning that `config.kind` names, for a predictor of `width` and an action of `actions` scalars.

    Raises:
        ConfigError: an unknown kind; it names the valid ones.
    """
    if config.kind not in CONDITIONINGS:
        raise ConfigError(f"unknown conditioning {config.kind!r}; choose from {', '.join(CONDITIONINGS)}")
    return CONDITIONINGS[config.kind](config, width=width, actions=actions)
