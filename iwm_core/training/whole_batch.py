r"""The rows of all ranks, for a loss that is a function of the whole batch.

    X = [x_1; ...; x_R]                 the same on every rank, in the batch's order
    dL/dx_r = sum_r' dL_r'/dX |_r       every rank computes the same loss L_r' = L of X: R times its gradient

Symbols: x_r the rows of rank r of R. The mean over ranks of the parameters' gradients then makes it dL/dtheta.

Shapes: B batch, b rows of one rank, D width.
"""

from typing import Any

import torch
from torch import Tensor, distributed


def gathered(x_bD: Tensor) -> Tensor:
    """The rows of all ranks, [B, D], through which gradients flow back to the rank that each row came from.

    For a loss that is a function of the whole batch. Every rank then computes the same loss L of the gathered rows, and
    the backward pass sums what R ranks say of a row: R dL/dx. The mean over ranks that follows makes it dL/dtheta.
    """
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return x_bD
    return _Gathered.apply(x_bD)  # pyright: ignore[reportReturnType]


class _Gathered(torch.autograd.Function):
    """The rows of all ranks; backward, the sum of what all ranks say of this rank's rows."""

    @staticmethod
    def forward(ctx: Any, x_bD: Tensor) -> Tensor:
        parts = [torch.empty_like(x_bD) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, x_bD.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        total_BD = grad_outputs[0].contiguous().clone()
        distributed.all_reduce(total_BD)
        return total_BD.chunk(distributed.get_world_size())[distributed.get_rank()]
