r"""AdamW and the schedules of its rates, all of them pure functions of the step.

    lr(s)    = lr [r_0 + (1 - r_0) s/W]                                  s < W        linear warm-up
             = lr [r_1 + (1 - r_1) (1 + cos(pi (s - W)/(S - W))) / 2]    otherwise    cosine
    decay(s) = w_1 + (w_0 - w_1) (1 + cos(pi s/S)) / 2                                cosine
    ema(s)   = m_0 + (m_1 - m_0) s/S                                                  linear

Symbols: s the step from 0, S all steps, W = round(warmup_ratio S), r_0 and r_1 the first and last share of the peak
rate, w_0 -> w_1 the weight decay, m_0 -> m_1 the momentum of the target encoder. The last values are those of s = S,
one step past the end. Source: I-JEPA's code [C1 J1]; its paper calls the weight decay linear. IWM's own are unknown.

Weight decay acts on the weights of linear maps (the patch embedding is one). Biases, norms, the mask token and the
action tokens of `sequence` are offsets, not maps, and are left alone; fixed positions are not trained at all. Rate and
decay are set anew in every step, so the optimiser carries no schedule of its own.
"""

import math

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from iwm_core.config import OptimConfig


def build(model: nn.Module, *, config: OptimConfig) -> AdamW:
    """Fused AdamW over the trainable parameters of `model`, in two groups: decayed, not decayed."""
    maps = {id(module.weight) for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in trained if id(parameter) in maps], "decayed": True},
        {"params": [parameter for parameter in trained if id(parameter) not in maps], "decayed": False},
    ]
    return AdamW(groups, lr=config.lr, betas=(config.beta1, config.beta2), weight_decay=0.0, fused=True)


def set_step(optimizer: AdamW, *, config: OptimConfig, step: int, total: int) -> float:
    """Sets rate and weight decay of step `step` of `total`; returns the rate."""
    lr = lr_at(config, step=step, total=total)
    decay = weight_decay_at(config, step=step, total=total)
    for group in optimizer.param_groups:
        group["lr"], group["weight_decay"] = lr, decay if group["decayed"] else 0.0
    return lr


def clip(model: nn.Module, *, max_norm: float) -> Tensor:
    """Scales the gradients to a global norm of at most `max_norm` (0: as they are); returns the norm before, 0-dim."""
    trained = [parameter for parameter in model.parameters() if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm([parameter.grad for parameter in trained if parameter.grad is not None])
    if max_norm > 0:
        torch.nn.utils.clip_grads_with_norm_(trained, max_norm, norm)
    return norm


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
