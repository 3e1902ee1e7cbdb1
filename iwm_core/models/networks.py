"""What an objective trains: an encoder, and whatever it needs beside it.

Shapes: B batch, N all patches, M targets, D encoder width, A scalars of the action.
"""

from torch import Tensor, nn

from iwm_core.data.masks import Masks
from iwm_core.models.encoder import Encoder


class Networks(nn.Module):
    """Abstract: calling it is what its objective needs of one batch, in one pass, so that it can be run in parallel."""

    encoder: Encoder

    def predict(self, z_BND: Tensor, a_BA: Tensor, masks: Masks) -> Tensor:
        """Latents of y at `masks.target_BM`, [B, M, D], from latents z of x: those of `masks.context_BK`, in order."""
        raise NotImplementedError
