r"""The objective of I-JEPA: each block of an image from the rest of the same image.

    L = 1/S sum_s 1/(M D) sum_{i in block s} l( p_phi(f_theta(x context), block s)_i - stopgrad LN(f_ema(x))_i )
    l(d) = d^2 / 2 where |d| < 1, else |d| - 1/2

Symbols: x the crop, untransformed, source and target in one; S blocks, each predicted in a pass of its own from one
context; f_theta the encoder, f_ema its moving average, p_phi the predictor, LN a LayerNorm without parameters, D the
encoder's width. Source: I-JEPA's code, in which l is the smooth L1 and targets are layer-normed; its paper has the
squared distance [C1], which is `objective.loss=mse`. benchmarks/ijepa_parity.py compares this loss with the official
code. Deviation: the norm behind the predictor's blocks adds 1e-5 to the variance, theirs 1e-6.

There is no photometric action, so the mean reciprocal rank equals its floor.

Shapes: B batch, C channels, H height, W width, S sequences, K context patches, M targets of a sequence, D width.
"""

from dataclasses import dataclass

from torch import Tensor

from iwm_core.config import TrialConfig
from iwm_core.data import masks as masking
from iwm_core.data import noise
from iwm_core.data.masks import Masks, Sequences
from iwm_core.data.photometric import ACTION_DIM
from iwm_core.data.views import clean
from iwm_core.models.encoder import ViTEncoder
from iwm_core.models.predictor import Predictor
from iwm_core.models.targets import Target
from iwm_core.objectives.objective import Networks, Objective, Part, Terms, prediction_loss


class BlockPredictor(Networks):
    """Encoder and predictor, trained together; one context, several target sequences."""

    def __init__(self, config: TrialConfig) -> None:
        super().__init__()
        self.encoder = ViTEncoder(config)
        self.predictor = Predictor(config)

    def forward(self, x_BCHW: Tensor, masks: Sequences, *, noise_BXD: Tensor | None = None) -> Tensor:
        """Latents at `masks.target_BSM`, [B, S M, D], the noise for all sequences of a sample one after the other."""
        (B, S, M), apart = masks.target_BSM.shape, masks.apart()
        z_BKD = self.encoder(x_BCHW, keep_BK=masks.context_BK).repeat_interleave(S, dim=0)
        noise_BMD = None if noise_BXD is None else noise_BXD.reshape(B * S, M, -1)
        p_BMD = self.predictor(z_BKD, z_BKD.new_zeros(B * S, ACTION_DIM), apart, noise_BME=noise_BMD)
        return p_BMD.reshape(B, S * M, -1)

    def predict(self, z_BND: Tensor, a_BA: Tensor, masks: Masks) -> Tensor:
        """Blind to the action, by its conditioning."""
        return self.predictor(z_BND, a_BA, masks)


@dataclass(frozen=True)
class Drawn:
    """The crops, the masks, and the noise of stochastic positions for all sequences in order."""

    x_BCHW: Tensor
    masks: Sequences
    noise_BXD: Tensor | None = None


def draw(part: Part, config: TrialConfig) -> Drawn:
    """Draw masks and noise for these crops."""
    rows, device = slice(part.first, part.first + len(part.image_BCHW)), part.image_BCHW.device
    masks = masking.sequences(config, part.step, batch=config.train.batch_size, device=device, rows=rows)
    targets = masks.target_BSM.shape[1:].numel()
    noise_BXD = noise.positions(config, part.step, targets=targets, rows=rows, device=device)
    return Drawn(clean(part.image_BCHW), masks, noise_BXD)


def loss(networks: Networks, target: Target, drawn: Drawn, config: TrialConfig) -> Terms:
    """The equation above, on one batch; all blocks have M patches, so the mean over all is that over blocks."""
    latents = target(drawn.x_BCHW)
    p_BXD = networks(drawn.x_BCHW, drawn.masks, noise_BXD=drawn.noise_BXD)
    h_BXD = latents.at(drawn.masks.target_BSM.flatten(1))
    loss = prediction_loss(p_BXD, h_BXD, kind=config.objective.loss)
    return Terms(loss=loss, p_BMD=p_BXD.detach(), h_BND=latents.h_BND)


IJEPA = Objective(networks=BlockPredictor, draw=draw, loss=loss)
