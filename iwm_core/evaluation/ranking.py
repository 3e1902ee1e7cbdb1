r"""Mean reciprocal rank of K queries in a bank of K members, where query k is meant for member k.

    d_kj = rms(p_k - h_j)                                      root mean square over features
    r_k  = #{ j : d_kj <= d_kk  or  h_j = h_k }
    MRR  = 1/K sum_k 1/r_k,   H@n = 1/K sum_k [r_k <= n]

Symbols: p_k the prediction for member k, h_j the latent of member j, K the bank's size. The rms distance orders a bank
as squared L2 does. Ties take the worst rank, and latents that differ by rounding alone, rms(h_j - h_k) <= `TIE` rms(h),
are equal: a collapsed encoder scores 1/K, and so does one of NaN. A predictor blind to the action gives every query the
same distances, so the ranks are a permutation of 1..K and it scores

    floor = H_K / K,   H_K = 1 + 1/2 + ... + 1/K               [DERIVED] 0.024 at K = 256

Source: SIE's MRR and H@k [C1 K2], with distances for cosine similarity and the worst for the first of equals [OURS].
Distances are computed in fp64: by the product of p and h, in which equal rows are only equal to half the digits.

Shapes: K bank, F features (positions x width, or width alone where latents are pooled).
"""

import torch
from torch import Tensor

TIE = 32 * torch.finfo(torch.float32).eps
"""Share of the latents' rms up to which a difference is rounding."""


def floor(bank_size: int) -> float:
    """H_K / K, what a predictor that ignores the action scores."""
    return sum(1 / rank for rank in range(1, bank_size + 1)) / bank_size


def ranks(p_KF: Tensor, h_KF: Tensor) -> Tensor:
    """The rank of member k for query k, int64 [K], from 1 (best) to K; ties take the worst."""
    p_KF, h_KF = p_KF.double(), h_KF.double()
    equal_KK = _rms_distance(h_KF, h_KF) <= TIE * h_KF.square().mean().sqrt()
    return ranks_of_distances(_rms_distance(p_KF, h_KF), equal_KK=equal_KK)


def ranks_of_distances(d_KK: Tensor, *, equal_KK: Tensor) -> Tensor:
    """The rank of the diagonal in each row: all members but those that are farther and not equal to the true one."""
    behind_KK = (d_KK > d_KK.diagonal()[:, None]) & ~equal_KK
    return d_KK.shape[1] - behind_KK.sum(1)


def _rms_distance(left_KF: Tensor, right_KF: Tensor) -> Tensor:
    return torch.cdist(left_KF, right_KF) / left_KF.shape[1] ** 0.5


def reciprocal_ranks(r_K: Tensor) -> Tensor:
    """1 / rank, float64."""
    return 1 / r_K.double()


def hits(r_K: Tensor, *, within: int) -> Tensor:
    """1.0 where the rank is at most `within`, else 0.0, float64."""
    return (r_K <= within).double()
