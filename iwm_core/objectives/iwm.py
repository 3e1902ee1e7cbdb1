r"""The objective of Image World Models.

    L = 1/(M D) sum_{i in m} || p_phi(f_theta(x visible), a_{x->y}, m)_i - stopgrad f_ema(y)_i ||^2

Symbols: x, y the source and the target view of one crop, a_{x->y} the action that leads from x to y, m the M masked
positions of x, f_theta the encoder, f_ema its moving average, p_phi the predictor, D the encoder's width.
Source: IWM [C2 S1, S2], which sums where we average over positions, features and batch, so that a learning rate does
not depend on the mask or the width [OURS]. `smooth_l1` is I-JEPA's code, which differs from its paper [C1 J1].
Targets may be layer-normed: see `targets`. The loss is computed in fp32 whatever the precision of the network.

The losses of two runs are not comparable, since the target moves. Watch the targets for collapse, not the loss.

Shapes: B batch, C channels, H height, W width, N all patches, M targets, D encoder width, A action.
"""

from dataclasses import dataclass

from torch import Tensor

from iwm_core.config import TrialConfig
from iwm_core.data import masks as masking
from iwm_core.data import noise
from iwm_core.data.masks import Masks
from iwm_core.data.views import Views, make_views
from iwm_core.models.encoder import ViTEncoder
from iwm_core.models.predictor import Predictor
from iwm_core.models.targets import Target
from iwm_core.objectives.objective import Networks, Objective, Part, Terms, prediction_loss


class ImageWorldModel(Networks):
    """Encoder and predictor: from a transformed, masked image to the latents of the untransformed one."""

    def __init__(self, config: TrialConfig) -> None:
        super().__init__()
        self.encoder = ViTEncoder(config)
        self.predictor = Predictor(config)

    def forward(self, x_BCHW: Tensor, a_BA: Tensor, masks: Masks, *, noise_BMD: Tensor | None = None) -> Tensor:
        """Latents of y at `masks.target_BM`, [B, M, D], predicted from the patches `masks.context_BK` of x."""
        return self.predictor(self.encoder(x_BCHW, keep_BK=masks.context_BK), a_BA, masks, noise_BME=noise_BMD)

    def predict(self, z_BND: Tensor, a_BA: Tensor, masks: Masks) -> Tensor:
        return self.predictor(z_BND, a_BA, masks)


@dataclass(frozen=True)
class Drawn:
    """Both views of a batch, the action between them, the masks, and the noise of stochastic positions."""

    view: Views
    masks: Masks
    noise_BMD: Tensor | None = None


def draw(part: Part, config: TrialConfig) -> Drawn:
    """Draw views, action, masks and noise for these crops."""
    view = make_views(part.image_BCHW, config, part.step, first=part.first)
    rows = slice(part.first, part.first + len(part.image_BCHW))
    device = part.image_BCHW.device
    masks = masking.sample(config, part.step, batch=config.train.batch_size, device=device, rows=rows)
    noise_BMD = noise.positions(config, part.step, targets=masks.target_BM.shape[1], rows=rows, device=device)
    return Drawn(view, masks, noise_BMD)


def loss(world_model: Networks, target: Target, drawn: Drawn, config: TrialConfig) -> Terms:
    """The equation above, on one batch."""
    view, masks = drawn.view, drawn.masks
    latents = target(view.y_BCHW)
    h_BMD = latents.at(masks.target_BM)
    p_BMD = world_model(view.x_BCHW, view.a_BA, masks, noise_BMD=drawn.noise_BMD)
    loss = prediction_loss(p_BMD, h_BMD, kind=config.objective.loss)
    return Terms(loss=loss, p_BMD=p_BMD.detach(), h_BND=latents.h_BND)


IWM = Objective(networks=ImageWorldModel, draw=draw, loss=loss)
