r"""The objective of Image World Models.

    L = 1/(M D) sum_{i in m} || p_phi(f_theta(x visible), a_{x->y}, m)_i - stopgrad f_ema(y)_i ||^2

Symbols: x, y the source and the target view of one crop, a_{x->y} the action that leads from x to y, m the M masked
positions of x, f_theta the encoder, f_ema its moving average, p_phi the predictor, D the encoder's width.
Source: IWM [C2 S1, S2], which sums where we average over positions, features and batch, so that a learning rate does
not depend on the mask or the width [OURS]. `smooth_l1` is I-JEPA's code, which differs from its paper [C1 J1].
Targets may be layer-normed: see `ema`. The loss is computed in fp32 whatever the precision of the network.

Two losses say little about two runs: the target moves. Collapse is read off the targets, not off the loss.

Shapes: B batch, C channels, H height, W width, N all patches, M targets, D encoder width.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from iwm_core.data.masks import Masks
from iwm_core.data.views import Views
from iwm_core.models.world_model import ImageWorldModel
from iwm_core.training.ema import TargetEncoder

PREDICTION_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": functional.mse_loss,
    "smooth_l1": functional.smooth_l1_loss,
}


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The loss (0-dim) and what it compares: predictions [B, M, D] and the targets of every patch [B, N, D]."""

    loss: Tensor
    p_BMD: Tensor
    h_BND: Tensor


def iwm_loss(world_model: ImageWorldModel, target: TargetEncoder, *, view: Views, masks: Masks, loss: str) -> Terms:
    """The equation above, on one batch of views."""
    latents = target(view.y_BCHW)
    h_BMD = latents.at(masks.target_BM)
    p_BMD = world_model(view.x_BCHW, view.a_BA, masks)
    return Terms(loss=prediction_loss(p_BMD, h_BMD, kind=loss), p_BMD=p_BMD.detach(), h_BND=latents.h_BND)


def prediction_loss(p_BMD: Tensor, h_BMD: Tensor, *, kind: str = "mse") -> Tensor:
    """Mean over batch, positions and features, in fp32; `kind` is one of `PREDICTION_LOSSES`."""
    return PREDICTION_LOSSES[kind](p_BMD.float(), h_BMD.float())
