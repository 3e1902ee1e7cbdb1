"""Activation checkpoints: a block's activations computed a second time in the backward pass instead of kept.

Memory for one more forward pass of the blocks. The numbers are the same: a block has no dropout, so the second pass
does what the first did. On the CPU the bits are equal; on CUDA they are where its kernels are deterministic.

Shapes: B batch, S tokens, D width.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from timm.models.vision_transformer import Block
from torch import nn
from torch.utils.checkpoint import checkpoint

Output = TypeVar("Output")
_MARK = "recomputed"


def recompute(model: nn.Module) -> None:
    """Marks every timm block inside `model`: its activations are not kept from here on."""
    for module in model.modules():
        if isinstance(module, Block):
            setattr(module, _MARK, True)


def keep(model: nn.Module) -> None:
    """Takes the marks away: activations are kept again."""
    for module in model.modules():
        vars(module).pop(_MARK, None)


def through(block: nn.Module, compute: Callable[..., Output], *inputs: Any) -> Output:
    """`compute(*inputs)`, which is work of `block`; twice, if the block is marked and a backward pass will come."""
    if getattr(block, _MARK, False) and torch.is_grad_enabled():
        return checkpoint(compute, *inputs, use_reentrant=False, preserve_rng_state=False)  # type: ignore[return-value]
    return compute(*inputs)
