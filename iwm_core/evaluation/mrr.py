r"""Mean reciprocal rank: does the predictor know what an action does to an image?

    z     = f_theta(I)                                    the clean image, every patch visible
    y_k   = T(I; q_k),  h_k = LN(f_ema(y_k)),  k = 1..K   the bank: K transformed versions of the same image
    p_k   = p_phi(z, a_{I->y_k}, all positions)           one query per member of the bank
    d_kj  = rms(p_k - h_j)                                root mean square over features
    r_k   = #{ j : d_kj <= d_kk  or  h_j = h_k }          the rank of member k for query k
    MRR   = mean over images and k of 1/r_k,   H@n = mean of [r_k <= n]

Symbols: I a held-out image, centre-cropped; f_theta the encoder, f_ema the target encoder, LN as in `targets`;
T the photometric operations with parameters q, p_phi the predictor, a the action. The rms distance orders a bank as
squared L2 does. Ties take the worst rank, and latents that differ by rounding alone, rms(h_j - h_k) <= `TIE` rms(h),
are equal: a collapsed encoder scores 1/K, and so does one of NaN. Distances are computed in fp64: by the product of p
and h, in which equal rows are only equal to half the digits. A predictor blind to the action gives every query the same
distances, so the ranks are a permutation of 1..K and it scores

    floor = H_K / K,   H_K = 1 + 1/2 + ... + 1/K          [DERIVED] 0.024 at K = 256


Source: per-image bank of 256, clean source, rank of the true latent by distance, mean of 1/r [C2 S1, S2, S4]; MRR and
H@k as in SIE [C1 K2], with distances for cosine similarity and the worst for the first of equals [OURS].
Unknown there and fixed here [OURS]: held-out images; views of the target's kind
(jitter always, nothing destructive) at `evaluate.bank_strength`, one strength for every trial, with the trial's own
operations; latents of the target encoder for the bank and of the encoder for the source; all positions as context and
as targets; every member is a query once; squared L2.

    mrr             distance between the means over positions. The headline: the metric's predecessor ranks one vector
                    per image [C1 K2]. See docs/decisions/0001 for the reasons and for the alternative.
    mrr_patchwise   distance over all positions and features, the quantity that training lowers
    hit1, hit5      share of ranks up to 1 and 5, and the same `_patchwise`
    mrr_floor       H_K / K, what a predictor blind to the action scores. The paper prints 0.00 there, which a bank
                    of one image cannot give [DERIVED]; compare with the floor, not with zero.

The bank's draws are a function of (`evaluate.bank_seed`, image, k), not of the trial's seed, so two trials with the
same operations see the same bank. The networks run in fp32 without autocast, whatever the precision of training, since
the three digits of bf16 are too few to rank near neighbours.

Cost: K target views and K predictions per held-out image, at most `CHUNK` at a time; nothing is read back before the
end. The toy networks, 32 images and K = 256: 2.2 s on one thread of an AMD EPYC (Zen 4), torch 2.15, November 2026.

Shapes: C channels, S pixels, K bank, N patches, D width, P parameters, A action, V views of one chunk, R all ranks,
F features (positions x width, or width alone where latents are pooled).
"""

import dataclasses

import torch
from torch import Tensor

from iwm_core.config import TrialConfig
from iwm_core.data import photometric, views
from iwm_core.data.datasets import load
from iwm_core.data.masks import Masks
from iwm_core.evaluation.latents import spread
from iwm_core.evaluation.subject import Subject
from iwm_core.randomness import uniform

CHUNK = 256
"""Number of views that pass through the networks at once."""


TIE = 32 * torch.finfo(torch.float32).eps
"""Differences up to this share of the latents' rms count as rounding."""


def measure(subject: Subject) -> dict[str, float]:
    """Return the metrics above, over `evaluate.bank_images` images spread over the test split."""
    config = subject.config
    dataset = load(config.data, split="test", root=subject.data_root)
    pooled_RK, patchwise_RK = [], []
    for index in spread(len(dataset), at_most=config.evaluate.bank_images):
        image_1CSS = dataset.centre(index[None], size=config.data.image_size).to(subject.device)
        p_KND, h_KND = queries_and_bank(subject, image_1CSS=image_1CSS, index=int(index))
        pooled_RK.append(pooled_ranks(p_KND, h_KND))
        patchwise_RK.append(ranks(p_KND.flatten(1), h_KND.flatten(1)))
    return summary(torch.cat(pooled_RK), torch.cat(patchwise_RK), bank_size=config.evaluate.bank_size)


def queries_and_bank(subject: Subject, *, image_1CSS: Tensor, index: int) -> tuple[Tensor, Tensor]:
    """Return predictions p and latents h of the bank of one uint8 image, [K, N, D] each; row k is member k."""
    return answered(subject, image_1CSS=image_1CSS, q_KP=bank_parameters(subject.config, index=index))


def answered(subject: Subject, *, image_1CSS: Tensor, q_KP: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same for a bank with these parameters."""
    config, networks = subject.config, subject.networks
    z_1ND = networks.encoder(views.clean(image_1CSS))
    everywhere_1N = torch.arange(z_1ND.shape[1], device=z_1ND.device)[None]
    source_1P, unit_1CSS = photometric.identity(1), views.to_unit(image_1CSS)
    p, h = [], []
    for q_VP in q_KP.split(CHUNK):
        V = len(q_VP)
        a_VA = photometric.action(source_1P.expand(V, -1), q_VP, config=config.photometric).to(z_1ND.device)
        y_VCSS = photometric.apply(unit_1CSS.expand(V, -1, -1, -1), q_VP, config=config.photometric)
        everywhere = Masks(everywhere_1N.expand(V, -1), everywhere_1N.expand(V, -1))
        p.append(networks.predict(z_1ND.expand(V, -1, -1), a_VA, everywhere))
        h.append(subject.target(views.normalise(y_VCSS)).h_BND)
    return torch.cat(p), torch.cat(h)


def bank_parameters(config: TrialConfig, *, index: int) -> Tensor:
    """Return q_KP, the photometric parameters of the bank of test image `index`, float32 on the host."""
    evaluate = config.evaluate
    u_KU = uniform(evaluate.bank_seed, "bank", index, (evaluate.bank_size, photometric.UNIFORMS))
    common = dataclasses.replace(config.photometric, strength=evaluate.bank_strength, jitter_p=1.0)
    return photometric.draw(common, u_KU, view="target")


def summary(pooled_R: Tensor, patchwise_R: Tensor, *, bank_size: int) -> dict[str, float]:
    """Return the metrics of all ranks, read from the device in one transfer."""
    values = {
        f"{name}{suffix}": score_R.mean()
        for suffix, r_R in {"": pooled_R, "_patchwise": patchwise_R}.items()
        for name, score_R in {
            "mrr": reciprocal_ranks(r_R),
            "hit1": hits(r_R, within=1),
            "hit5": hits(r_R, within=5),
        }.items()
    }
    metrics = dict(zip(values, torch.stack(list(values.values())).tolist(), strict=True))
    return metrics | {"mrr_floor": floor(bank_size)}


def floor(bank_size: int) -> float:
    """Return H_K / K, the score of a predictor that ignores the action."""
    return sum(1 / rank for rank in range(1, bank_size + 1)) / bank_size


def pooled_ranks(p_KND: Tensor, h_KND: Tensor) -> Tensor:
    """Return the ranks [K] by the distance between means over positions."""
    return ranks(p_KND.double().mean(1), h_KND.double().mean(1))


def ranks(p_KF: Tensor, h_KF: Tensor) -> Tensor:
    """Return the rank of member k for query k, int64 [K], from 1 (best) to K; ties take the worst."""
    p_KF, h_KF = p_KF.double(), h_KF.double()
    equal_KK = _rms_distance(h_KF, h_KF) <= TIE * h_KF.square().mean().sqrt()
    return ranks_of_distances(_rms_distance(p_KF, h_KF), equal_KK=equal_KK)


def ranks_of_distances(d_KK: Tensor, *, equal_KK: Tensor) -> Tensor:
    """Return the rank of the diagonal in each row: the members that are not farther, or are equal to the true one."""
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
