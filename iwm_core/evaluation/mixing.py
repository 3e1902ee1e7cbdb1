r"""Mixup, CutMix and label smoothing: what an image's class becomes when images are mixed.

    mixup    x = lambda x_b + (1 - lambda) x_b',   y = lambda y_b + (1 - lambda) y_b',   lambda ~ Beta(alpha, alpha)
    cutmix   the same with a rectangle of x_b' in x_b, its area the share 1 - lambda of the image

Symbols: b' = B - 1 - b, the batch in reverse; one lambda for a batch, and where both are set a fair coin between them.
Source: timm's batch mode, which MAE's recipe uses [C1, code]. Draws are a function of (seed, step).

Shapes: B images, C channels, S pixels, K classes.
"""

import torch
from torch import Tensor
from torch.nn import functional

from iwm_core.config import TrialConfig
from iwm_core.randomness import generator


def mixed(x_BCSS: Tensor, label_B: Tensor, *, classes: int, config: TrialConfig, step: int) -> tuple[Tensor, Tensor]:
    """The images of `step` and their classes as shares [B, K], mixed where `tune.mixup` or `tune.cutmix` is set."""
    share_BK = functional.one_hot(label_B, classes).to(x_BCSS)
    alphas = [name for name in ("mixup", "cutmix") if getattr(config.tune, name) > 0]
    if not alphas:
        return x_BCSS, share_BK
    draws = generator(config.seed, "mix", step)
    kind = alphas[int(draws.integers(len(alphas)))]
    alpha = getattr(config.tune, kind)
    lam = float(draws.beta(alpha, alpha))
    if kind == "cutmix":
        x_BCSS, lam = _cut(x_BCSS, lam=lam, centre=(float(draws.random()), float(draws.random())))
    else:
        x_BCSS = x_BCSS.lerp(x_BCSS.flip(0), 1 - lam)
    return x_BCSS, share_BK.lerp(share_BK.flip(0), 1 - lam)


def cross_entropy(logits_BK: Tensor, share_BK: Tensor, *, config: TrialConfig) -> Tensor:
    """Of classes given as shares, in fp32, with `tune.label_smoothing`."""
    return functional.cross_entropy(logits_BK.float(), share_BK.float(), label_smoothing=config.tune.label_smoothing)


def _cut(x_BCSS: Tensor, *, lam: float, centre: tuple[float, float]) -> tuple[Tensor, float]:
    """The images with a rectangle of the reversed batch, and the share of the image that is still their own."""
    S, half = x_BCSS.shape[-1], (1 - lam) ** 0.5 / 2
    (top, bottom), (left, right) = ((max(0, round((c - half) * S)), min(S, round((c + half) * S))) for c in centre)
    inside_SS = torch.zeros(S, S, dtype=torch.bool, device=x_BCSS.device)
    inside_SS[top:bottom, left:right] = True
    return torch.where(inside_SS, x_BCSS.flip(0), x_BCSS), 1 - (bottom - top) * (right - left) / S**2
