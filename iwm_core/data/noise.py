r"""Gaussian noise made on the device, as a function of (seed, step, sample) and the place in the sample.

    h_b,i = mix(k_b ^ mix(i))            u = (h + 1/2) / 2^32,  u' from mix(h ^ c)
    n_b,i = sqrt(-2 ln u) cos(2 pi u')                                                   Box and Muller

Symbols: k_b the 32-bit key of sample b of the global batch, drawn on the host like all randomness; i the place of a
number in its sample; mix the finaliser of MurmurHash3 (Appleby, public domain) [RECALLED, high], a bijection of 32 bits
in which every bit of the input moves every bit of the output; c the golden ratio's fraction.

Why no generator: the noise of stochastic positions is a number per target, per feature of the encoder and per step, 135
million at ViT-B and a batch of 2,048, too many for the host; and what a GPU's generator draws depends on how many
numbers are asked for and on the GPU's size. The integers here are the same on every device, so the noise agrees to
rounding, whatever the ranks.

Shapes: B samples, M targets, D features; I = M D places.
"""

import torch
from torch import Tensor

from iwm_core.config import TrialConfig
from iwm_core.randomness import generator
from iwm_core.tensors import onto

_ALL_BITS = 2**32 - 1
_GOLDEN = 0x9E3779B9


def positions(
    config: TrialConfig, step: int, *, targets: int, rows: slice, device: torch.device | str
) -> Tensor | None:
    """sigma n of the stochastic positions for samples `rows` of `step`, [B, M, D]; None where there are none."""
    sigma = config.predictor.position_noise
    if sigma == 0:
        return None
    key_B = torch.from_numpy(generator(config.seed, "positions", step).integers(2**32, size=rows.stop)[rows])
    noise_BI = normal(onto(key_B, device), count=targets * config.encoder.width)
    return sigma * noise_BI.unflatten(1, (targets, config.encoder.width))


def normal(key_B: Tensor, *, count: int) -> Tensor:
    """`count` standard normal numbers for each 32-bit key (int64), float32 [B, I]."""
    place_I = torch.arange(count, device=key_B.device)
    h_BI = _mix(key_B[:, None] ^ _mix(place_I))
    radius_BI = (-2 * _unit(h_BI).log()).sqrt()
    return radius_BI * (2 * torch.pi * _unit(_mix(h_BI ^ _GOLDEN))).cos()


def _mix(h: Tensor) -> Tensor:
    """32 bits to 32 bits; products may overflow 64 bits, of which the lower 32 are kept."""
    h = ((h ^ (h >> 16)) * 0x85EBCA6B) & _ALL_BITS
    h = ((h ^ (h >> 13)) * 0xC2B2AE35) & _ALL_BITS
    return h ^ (h >> 16)


def _unit(h: Tensor) -> Tensor:
    """32 bits as float32 in (0, 1]; never 0, whose logarithm is infinite."""
    return (h.float() + 0.5) / 2**32
