r"""Schedules, as pure functions of the step.

    lr(s)    = lr [r_0 + (1 - r_0) s/W]                                  s < W        linear warm-up
             = lr [r_1 + (1 - r_1) (1 + cos(pi (s - W)/(S - W))) / 2]    otherwise    cosine
    decay(s) = w_1 + (w_0 - w_1) (1 + cos(pi s/S)) / 2                                cosine
    ema(s)   = m_0 + (m_1 - m_0) s/S                                                  linear

Symbols: s the step from 0, S all steps, W = round(warmup_ratio S), r_0 and r_1 the first and last share of the peak
rate, w_0 -> w_1 the weight decay, m_0 -> m_1 the momentum of the target encoder. The last values are those of s = S,
one step past the end. Source: I-JEPA's code [C1 J1]; its paper calls the weight decay linear. IWM's own are unknown.
"""

import math

from iwm_core.config import OptimConfig


def lr_at(optim: OptimConfig, *, step: int, total: int) -> float:
    """Learning rate of step `step` of `total`."""
    warmup = round(optim.warmup_ratio * total)
    if step < warmup:
        return optim.lr * (optim.lr_start_ratio + (1 - optim.lr_start_ratio) * step / warmup)
    return optim.lr * _cosine(1.0, optim.lr_final_ratio, progress=(step - warmup) / max(1, total - warmup))


def weight_decay_at(optim: OptimConfig, *, step: int, total: int) -> float:
    """Weight decay of step `step` of `total`."""
    return _cosine(optim.weight_decay, optim.weight_decay_final, progress=step / total)


def ema_at(optim: OptimConfig, *, step: int, total: int) -> float:
    """Momentum of the target encoder in step `step` of `total`."""
    return optim.ema + (optim.ema_final - optim.ema) * step / total


def _cosine(first: float, last: float, *, progress: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * progress)) / 2
