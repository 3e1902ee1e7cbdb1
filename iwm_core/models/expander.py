r"""The expander of VICReg: pooled latents to the embeddings whose statistics its loss shapes.

    e(m) = W_L relu(BN(W_{L-1} ... relu(BN(W_1 m))))

Symbols: m the latents of an image, averaged over patches, L = `objective.expander_layers` linear maps, BN batch
normalisation. Source: VICReg (Bardes et al., 2022) [RECALLED, high]. Deviations: maps start as in `block`
[OURS] and have no bias, which BN would take out; BN keeps no running mean and variance, since the expander is thrown
away after training and nothing ever calls it in evaluation, so a checkpoint holds weights alone.

Shapes: B batch, D encoder width, E width of the embeddings.
"""

from itertools import pairwise

from torch import Tensor, nn

from iwm_core.config import TrialConfig
from iwm_core.models.block import xavier


class Expander(nn.Module):
    """An MLP with batch normalisation; its output for one image depends on the batch that the image is in."""

    def __init__(self, config: TrialConfig) -> None:
        """Draws the weights from torch's default generator."""
        super().__init__()
        width = config.objective.expander_width
        widths = [config.encoder.width] + [width] * config.objective.expander_layers
        layers: list[nn.Module] = []
        for before, after in pairwise(widths[:-1]):
            layers += [
                nn.Linear(before, after, bias=False),
                nn.BatchNorm1d(after, track_running_stats=False),
                nn.ReLU(),
            ]
        self.mlp = nn.Sequential(*layers, nn.Linear(widths[-2], width, bias=False))
        xavier(self)

    def forward(self, m_BD: Tensor) -> Tensor:
        """Embeddings of a whole batch, [B, E]."""
        return self.mlp(m_BD)
