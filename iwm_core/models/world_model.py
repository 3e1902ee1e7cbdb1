r"""The image world model: what a transformed, masked image tells about the untransformed one.

    p = p_phi(f_theta(x visible), a_{x->y}, m)

Symbols: x the source view, f_theta the encoder, a the action that turns x into y, m the target positions, p_phi the
predictor. Source: IWM [C2 S1, S2].

Shapes: B batch, C channels, H height, W width, N all patches, M targets, D encoder width, A scalars of the action.
"""

from torch import Tensor

from iwm_core.config import TrialConfig
from iwm_core.data.masks import Masks
from iwm_core.models.encoder import ViTEncoder
from iwm_core.models.networks import Networks
from iwm_core.models.predictor import Predictor


class ImageWorldModel(Networks):
    """Encoder and predictor, trained together."""

    def __init__(self, config: TrialConfig) -> None:
        super().__init__()
        self.encoder = ViTEncoder(config)
        self.predictor = Predictor(config)

    def forward(self, x_BCHW: Tensor, a_BA: Tensor, masks: Masks, *, noise_BMD: Tensor | None = None) -> Tensor:
        """Latents of y at `masks.target_BM`, [B, M, D], predicted from the patches `masks.context_BK` of x."""
        return self.predictor(self.encoder(x_BCHW, keep_BK=masks.context_BK), a_BA, masks, noise_BME=noise_BMD)

    def predict(self, z_BND: Tensor, a_BA: Tensor, masks: Masks) -> Tensor:
        """The same from latents that are already encoded: z holds those of `masks.context_BK`, in that order."""
        return self.predictor(z_BND, a_BA, masks)
