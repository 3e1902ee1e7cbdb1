r"""Collapse health: whether the latents of different images are still different.

    m_b = 1/N sum_n h_bn                                 mean-pooled latents of image b
    target_std     = 1/D sum_d std_b(m_bd)               over the images of one batch, without Bessel's correction
    effective_rank = exp(-sum_i q_i log q_i),   q_i = s_i / sum_j s_j

Symbols: h_bn the latents of patch n, s_i the singular values of the centred matrix m [B, D]. Source of the rank: RankMe
(Garrido et al., 2023) [RECALLED, high], here on centred and pooled latents of a batch, so it is at most min(B - 1, D).

The alarm stands on `target_std` alone. On layer-normed targets, whose scale is fixed, it is 0.5-0.6 in a healthy run
and 0.01 in a collapsed one; `COLLAPSE_STD` = 0.1 lies near the middle of the two on a logarithmic scale [OURS]. The
effective rank of a collapsed encoder is that of the noise it is left with, higher than a healthy one's: it is shown
and raises no alarm.

Cost: singular values come from the smaller Gram matrix, in fp64. One thread of an AMD EPYC (Zen 4), November 2026:
0.3 ms at B = 64, D = 64; 3 ms at B = 64, N = 196, D = 768. The eigenvalue solver makes the host wait for a CUDA device
[C1, its documentation], so call it where a log line is read anyway, not in every step.

Shapes: B images, N patches, D width, G = min(B, D).
"""

import torch
from torch import Tensor

COLLAPSE_STD = 0.1
"""Below this `target_std` the targets count as collapsed."""


def collapse_health(h_BND: Tensor) -> dict[str, Tensor]:
    """`target_std` and `effective_rank` of latents [B, N, D], as 0-dim fp32 tensors on the same device.

    One image has std 0 and rank 1; latents that are not finite have NaN for both.
    """
    return pooled_health(pool(h_BND))


def pool(h_BND: Tensor) -> Tensor:
    """m, the mean over positions, [B, D] in fp32, without gradient."""
    return h_BND.detach().float().mean(1)


def pooled_health(m_BD: Tensor) -> dict[str, Tensor]:
    """The same of latents that are pooled already."""
    centred_BD = m_BD - m_BD.mean(0)
    return {
        "target_std": centred_BD.square().mean(0).sqrt().mean(),
        "effective_rank": _effective_rank(centred_BD.double()).float(),
    }


def _effective_rank(centred_BD: Tensor) -> Tensor:
    B, D = centred_BD.shape
    gram_GG = centred_BD @ centred_BD.T if B <= D else centred_BD.T @ centred_BD
    finite = gram_GG.isfinite().all()
    s_G = torch.linalg.eigvalsh(torch.where(finite, gram_GG, 0.0)).clamp_min(0).sqrt()
    q_G = s_G / s_G.sum().clamp_min(torch.finfo(s_G.dtype).tiny)
    return torch.where(finite, torch.exp(-torch.xlogy(q_G, q_G).sum()), torch.nan)


def alarm_sentence(target_std: float) -> str:
    """What to tell a person whose `target_std` fell below `COLLAPSE_STD`, and what to try."""
    return (
        f"targets collapse: pooled target latents vary by {target_std:.3f} across images "
        f"(alarm below {COLLAPSE_STD:g}); try a lower optim.lr, an optim.ema nearer to 1 or a longer optim.warmup_ratio"
    )
