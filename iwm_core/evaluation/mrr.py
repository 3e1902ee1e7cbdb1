r"""Mean reciprocal rank: does the predictor know what an action does to an image?

    z     = f_theta(I)                                    the clean image, every patch visible
    y_k   = T(I; q_k),  h_k = LN(f_ema(y_k)),  k = 1..K   the bank: K transformed versions of the same image
    p_k   = p_phi(z, a_{I->y_k}, all positions)           one query per member of the bank
    r_k   = rank of h_k among h_1..h_K by distance to p_k;   MRR = mean over images and k of 1/r_k

Symbols: I a held-out image, centre-cropped; f_theta the encoder, f_ema the target encoder, LN as in `targets`;
T the photometric operations with parameters q, p_phi the predictor, a the action. Ranks, ties, floor: `ranking`.

Source: per-image bank of 256, clean source, rank of the true latent by distance, mean of 1/r [C2 S1, S2, S4].
Unknown there and fixed here [OURS]: held-out images; views of the target's kind
(jitter always, nothing destructive) at `evaluate.bank_strength`, one strength for every trial, with the trial's own
operations; latents of the target encoder for the bank and of the encoder for the source; all positions as context and
as targets; every member is a query once; squared L2.

    mrr             distance between the means over positions. The headline: the metric's predecessor ranks one vector
                    per image [C1 K2]. docs/decisions/0001 says when this was settled, and what the other one showed.
    mrr_patchwise   distance over all positions and features, the quantity that training lowers
    hit1, hit5      share of ranks up to 1 and 5, and the same `_patchwise`
    mrr_floor       H_K / K, what a predictor blind to the action scores. The paper prints 0.00 there, which a bank
                    of one image cannot give [DERIVED]; compare with the floor, not with zero.

The bank's draws are a function of (`evaluate.bank_seed`, image, k), not of the trial's seed, so two trials with the
same operations see the same bank. The networks run in fp32 without autocast, whatever the precision of training, since
ranks of near neighbours should not turn on the three digits of bf16.

Cost: K target views and K predictions per held-out image, at most `CHUNK` at a time; nothing is read back before the
end. The toy networks, 32 images and K = 256: 2.2 s on one thread of an AMD EPYC (Zen 4), torch 2.15, November 2026.

Shapes: C channels, S pixels, K bank, N patches, D width, P parameters, A action, V views of one chunk, R all ranks.
"""

import dataclasses

import torch
from torch import Tensor

from iwm_core.config import TrialConfig
from iwm_core.data import photometric, views
from iwm_core.data.datasets import load
from iwm_core.data.masks import Masks
from iwm_core.evaluation import ranking
from iwm_core.evaluation.subset import spread
from iwm_core.models.targets import Target
from iwm_core.objectives.objective import Networks
from iwm_core.randomness import uniform

CHUNK = 256
"""Views that pass through the networks at once."""


def measure(
    config: TrialConfig, *, networks: Networks, target: Target, device: torch.device, data_root: str
) -> dict[str, float]:
    """The metrics above, over `evaluate.bank_images` images spread over the test split."""
    dataset = load(config.data, split="test", root=data_root)
    indices = spread(len(dataset), at_most=config.evaluate.bank_images)
    pooled_RK, patchwise_RK = [], []
    for index in indices:
        image_1CSS = dataset.centre(index[None], size=config.data.image_size).to(device)
        p_KND, h_KND = queries_and_bank(image_1CSS, index=int(index), config=config, networks=networks, target=target)
        pooled_RK.append(ranking.ranks(p_KND.double().mean(1), h_KND.double().mean(1)))
        patchwise_RK.append(ranking.ranks(p_KND.flatten(1), h_KND.flatten(1)))
    return summary(torch.cat(pooled_RK), torch.cat(patchwise_RK), bank_size=config.evaluate.bank_size)


def queries_and_bank(
    image_1CSS: Tensor, *, index: int, config: TrialConfig, networks: Networks, target: Target
) -> tuple[Tensor, Tensor]:
    """Predictions p and latents h of the bank of one uint8 image, [K, N, D] each; row k of both is member k."""
    q_KP = bank_parameters(config, index=index)
    return answered(image_1CSS, q_KP=q_KP, config=config, networks=networks, target=target)


def answered(
    image_1CSS: Tensor, *, q_KP: Tensor, config: TrialConfig, networks: Networks, target: Target
) -> tuple[Tensor, Tensor]:
    """The same for a bank of these parameters."""
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
        h.append(target(views.normalise(y_VCSS)).h_BND)
    return torch.cat(p), torch.cat(h)


def bank_parameters(config: TrialConfig, *, index: int) -> Tensor:
    """q_KP: the photometric parameters of the bank of image `index` of the test split, float32 on the host."""
    evaluate = config.evaluate
    u_KU = uniform(evaluate.bank_seed, "bank", index, (evaluate.bank_size, photometric.UNIFORMS))
    common = dataclasses.replace(config.photometric, strength=evaluate.bank_strength, jitter_p=1.0)
    return photometric.draw(common, u_KU, view="target")


def summary(pooled_R: Tensor, patchwise_R: Tensor, *, bank_size: int) -> dict[str, float]:
    """The metrics of all ranks, read from the device in one transfer."""
    values = {
        f"{name}{suffix}": score_R.mean()
        for suffix, r_R in {"": pooled_R, "_patchwise": patchwise_R}.items()
        for name, score_R in {
            "mrr": ranking.reciprocal_ranks(r_R),
            "hit1": ranking.hits(r_R, within=1),
            "hit5": ranking.hits(r_R, within=5),
        }.items()
    }
    metrics = dict(zip(values, torch.stack(list(values.values())).tolist(), strict=True))
    return metrics | {"mrr_floor": ranking.floor(bank_size)}
