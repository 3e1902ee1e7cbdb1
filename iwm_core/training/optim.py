"""AdamW as this model wants it.

Weight decay acts on the weights of linear maps (the patch embedding is one). Biases, norms, the mask token and the
action tokens of `sequence` are offsets, not maps, and are left alone; fixed positions are not trained at all. Rate and
decay are set anew in every step from `schedules`, so the optimiser carries no schedule of its own.
"""

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from iwm_core.config import OptimConfig
from iwm_core.training import schedules


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
    lr = schedules.lr_at(config, step=step, total=total)
    decay = schedules.weight_decay_at(config, step=step, total=total)
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
