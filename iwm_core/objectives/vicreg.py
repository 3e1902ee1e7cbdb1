r"""The objective of VICReg: the invariant end of the spectrum, on the views and the encoder of the world model.

    L = lambda s(U, V) + mu (v(U) + v(V)) + nu (c(U) + c(V)),   U = e(mean_n f_theta(x)_n),   V = e(mean_n f_theta(y)_n)
    e(m)    = W_L relu(BN(W_{L-1} ... relu(BN(W_1 m))))            the expander
    s(U, V) = 1/(B E) sum_b || u_b - v_b ||^2                     the two views of an image agree
    v(U)    = 1/E sum_j max(0, 1 - sqrt(var_b(u_bj) + 1e-4))       each dimension keeps a deviation of 1
    c(U)    = 1/E sum_{i != j} cov_b(u_bi, u_bj)^2                 and is not correlated with the others

Symbols: x, y the source and the target view, f_theta the encoder, B images, E the expander's width, L its linear maps
(`objective.expander_layers`), BN batch normalisation; variances and covariances over the batch with Bessel's
correction; lambda, mu, nu = `objective.invariance`, `variance`, `covariance`.
Source: VICReg (Bardes et al., 2022), its pseudocode, in which s is a mean over dimensions, too [RECALLED, high].
Deviations: a ViT averaged over patches for a ResNet; the views are those of IWM, one crop with two photometric
transformations, so that objectives differ by the loss alone [OURS]. The expander's maps start as in `block` [OURS] and
have no bias, which BN would take out. BN keeps no running mean and variance: the expander is thrown away after training
and nothing calls it in evaluation, so a checkpoint holds weights alone.

Both views are encoded whole: masks would add an invariance of masked to whole images to the photometric one. A step
therefore encodes 2 N patches with gradient, where IWM encodes about N/2 with and N without.

The moving average of the encoder is kept and evaluated as everywhere, but no part of the loss. There is no predictor:
`predict` returns its input, whatever the action, so the mean reciprocal rank equals its floor. The health
metrics are those of the encoder's latents of y, layer-normed as targets are, so the collapse alarm has its usual
meaning; the "prediction" beside them is the latents of x.

Every statistic is of the whole batch: pooled latents are gathered from all ranks before the expander, whose work each
rank then does in full; gradient accumulation is refused. For rank r of R with the rows x_r:

    X = [x_1; ...; x_R]                 the same on every rank, in the batch's order
    dL/dx_r = sum_r' dL_r'/dX |_r       every rank computes the same loss L_r' = L of X: R times its gradient

The mean over ranks of the parameters' gradients then makes it dL/dtheta.

Shapes: B batch, b rows of one rank, C channels, H height, W width, N patches, K context patches, M targets,
D encoder width, E width of the embeddings.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from iwm_core.config import TrialConfig
from iwm_core.data.masks import Masks
from iwm_core.data.views import Views, make_views
from iwm_core.models.block import xavier
from iwm_core.models.encoder import ViTEncoder
from iwm_core.models.targets import Target
from iwm_core.objectives.objective import Networks, Objective, Part, Terms, full_precision

EPSILON = 1e-4
"""Added to the variance under the square root."""


class Embedded(NamedTuple):
    """Latents of both views, [B, N, D], and their embeddings over the whole batch, [B, E]."""

    x_BND: Tensor
    y_BND: Tensor
    u_BE: Tensor
    v_BE: Tensor


class Expander(nn.Module):
    """e: pooled latents to the embeddings whose statistics the loss shapes, of a whole batch at once."""

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


class TwinEncoder(Networks):
    """One encoder for both views, and the expander."""

    def __init__(self, config: TrialConfig) -> None:
        super().__init__()
        self.encoder = ViTEncoder(config)
        self.expander = Expander(config)
        self._patches = config.grid**2

    def forward(self, x_BCHW: Tensor, y_BCHW: Tensor) -> Embedded:
        """Both views in one pass of the encoder; each alone through the expander, whose norms see one view."""
        x_BND, y_BND = self.encoder(torch.cat([x_BCHW, y_BCHW])).chunk(2)
        u_BE, v_BE = (self.expander(gathered(z_BND.mean(1))) for z_BND in (x_BND, y_BND))
        return Embedded(x_BND, y_BND, u_BE, v_BE)

    def predict(self, z_BND: Tensor, a_BA: Tensor, masks: Masks) -> Tensor:
        """Return the given latents; for a target that is not in the context, their mean."""
        z_BKD, (B, _, D) = z_BND, z_BND.shape
        everywhere_BND = z_BKD.mean(1, keepdim=True).expand(B, self._patches, D)
        everywhere_BND = everywhere_BND.scatter(1, masks.context_BK[:, :, None].expand_as(z_BKD), z_BKD)
        return everywhere_BND.gather(1, masks.target_BM[:, :, None].expand(-1, -1, D))


def gathered(x_bD: Tensor) -> Tensor:
    """The rows of all ranks, [B, D], through which gradients flow back to the rank that each row came from."""
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return x_bD
    return _Gathered.apply(x_bD)  # pyright: ignore[reportReturnType]


class _Gathered(torch.autograd.Function):
    """Forward: the rows of all ranks. Backward: the sum over ranks of the gradients of this rank's rows."""

    @staticmethod
    def forward(ctx: Any, x_bD: Tensor) -> Tensor:
        parts = [torch.empty_like(x_bD) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, x_bD.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        total_BD = grad_outputs[0].contiguous().clone()
        distributed.all_reduce(total_BD)
        return total_BD.chunk(distributed.get_world_size())[distributed.get_rank()]


def draw(part: Part, config: TrialConfig) -> Views:
    """Draw the input of a step from these crops."""
    return make_views(part.image_BCHW, config, part.step, first=part.first)


def loss(networks: Networks, target: Target, view: Views, config: TrialConfig) -> Terms:
    """The equation above, on one batch."""
    embedded = networks(view.x_BCHW, view.y_BCHW)
    weights = config.objective
    with full_precision(view.x_BCHW.device):
        u_BE, v_BE = embedded.u_BE.float(), embedded.v_BE.float()
        loss = (
            weights.invariance * functional.mse_loss(u_BE, v_BE)
            + weights.variance * (variance(u_BE) + variance(v_BE))
            + weights.covariance * (covariance(u_BE) + covariance(v_BE))
        )
    p_BND, h_BND = (
        functional.layer_norm(z_BND.detach().float(), z_BND.shape[-1:]) for z_BND in (embedded.x_BND, embedded.y_BND)
    )
    return Terms(loss=loss, p_BMD=p_BND, h_BND=h_BND)


def variance(u_BE: Tensor) -> Tensor:
    """v of the formula."""
    return functional.relu(1 - (u_BE.var(0) + EPSILON).sqrt()).mean()


def covariance(u_BE: Tensor) -> Tensor:
    """c of the formula."""
    centred_BE = u_BE - u_BE.mean(0)
    squares_EE = (centred_BE.T @ centred_BE / (len(u_BE) - 1)).square()
    return (squares_EE.sum() - squares_EE.diagonal().sum()) / u_BE.shape[1]


VICREG = Objective(networks=TwinEncoder, draw=draw, loss=loss)
