r"""The transformer block: attention and an MLP, each with a pre-norm and a residual connection.

    s <- s + g_1 A(LN(s) (1 + c_1) + b_1)         A(n) = P softmax(q k' / sqrt(F)) v in each of H heads, (q, k, v) = Q n
    s <- s + g_2 M(LN(s) (1 + c_2) + b_2)         M(n) = W_2 gelu(W_1 n)

Symbols: b, c, g shift, scale and gate of a modulation (b = c = 0, g = 1 without one); Q, P, W_1, W_2 linear maps.
Source: the pre-norm block of ViT, under timm's parameter names [timm 1.0.31], so weights load into timm's models and
back; modulation as in AdaLN [C1 K5, K7]. No dropout, layer scale or stochastic depth.

A block computes its last M tokens alone if asked (`last`): all tokens are keys, only the last M are queries.

`recompute`: a block computes its activations a second time in the backward pass and keeps only its input. The numbers
are the same since nothing is random; so are the bits on the CPU, and on CUDA where its kernels are deterministic.

`take_path`: attention is fused (torch's scaled_dot_product_attention) or written out (explicit). The backward pass of
the fused CPU kernel is pathological under bf16 autocast, so this one case takes the explicit path. The paths differ in
rounding, so the path is part of a run's fingerprint. Forward and backward of two blocks, median of 10, one thread of an
AMD EPYC (Zen 4, AVX-512 bf16), torch 2.15, timm 1.0.31, November 2026:

    batch x tokens x width, heads      fp32 fused   fp32 explicit   bf16 fused   bf16 explicit
    64 x  16 x  64, 2                     10.5 ms         10.4 ms      21.2 ms          8.5 ms
    64 x  14 x  64, 2                      9.6            10.4         20.7             7.7
    64 x   7 x  64, 2                      5.4             5.7          5.6             4.9
     8 x 196 x 192, 3                    115.9           117.9         81.4            60.8

How weights start (`xavier`, `ZeroLinear`):

    W ~ U(-r, r),  r = sqrt(6 / (fan_in + fan_out))      every linear map, the patch embedding among them
    b = 0                                                every bias of a linear map
    W = 0                                                a `ZeroLinear`, which grows from nothing

Source: Xavier's uniform rule as in MAE's code, which treats the patch embedding as the linear map that it is and
queries, keys and values as one map [C1 MAE]. Deviation: I-JEPA draws from a normal of deviation 0.02, cut at two
deviations [C1 J1]. At a width of 64 that starts the maps at a sixth of Xavier's size, and a run of minutes does not
recover [OURS]: after 2,000 steps the toy (feature conditioning, YIQ hue, log factors, seed 0, November 2026) has an MRR
of 0.19 with timm's normal in the encoder, and of 0.31 with Xavier's rule.

Shapes: B batch, S tokens, M the last of them, D width, H heads, F features of a head.
"""

from collections import OrderedDict
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

AttentionPath = Literal["fused", "explicit"]


class Change(NamedTuple):
    """The modulation of one branch; each is [B, 1, D]."""

    shift_B1D: Tensor
    scale_B1D: Tensor
    gate_B1D: Tensor


class Modulation(NamedTuple):
    """The modulation of both branches of a block."""

    attention: Change
    mlp: Change


class Attention(nn.Module):
    """Multi-head self-attention. `fused_attn` is the attribute's name in timm, too; see `take_path`."""

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.heads, self.fused_attn = heads, True
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x_BSD: Tensor, *, last: int | None = None) -> Tensor:
        """The outputs of the last `last` tokens (None: of all), [B, M, D]."""
        if last is None:
            parts = self.qkv(x_BSD).chunk(3, dim=-1)
        else:
            D, weight, bias = x_BSD.shape[-1], self.qkv.weight, self.qkv.bias
            q_BMD = functional.linear(x_BSD[:, -last:], weight[:D], bias[:D])
            parts = q_BMD, *functional.linear(x_BSD, weight[D:], bias[D:]).chunk(2, dim=-1)
        q_BHMF, k_BHSF, v_BHSF = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        if self.fused_attn:
            o_BHMF = functional.scaled_dot_product_attention(q_BHMF, k_BHSF, v_BHSF)
        else:
            o_BHMF = (q_BHMF * q_BHMF.shape[-1] ** -0.5 @ k_BHSF.mT).softmax(dim=-1) @ v_BHSF
        return self.proj(o_BHMF.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """The equations above."""

    recomputes = False

    def __init__(self, width: int, *, heads: int, mlp_ratio: float = 4.0) -> None:
        """Draws the weights from torch's default generator, in timm's order."""
        super().__init__()
        hidden = int(width * mlp_ratio)
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads=heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(OrderedDict(fc1=nn.Linear(width, hidden), act=nn.GELU(), fc2=nn.Linear(hidden, width)))

    def forward(self, s_BSD: Tensor, *, modulation: Modulation | None = None, last: int | None = None) -> Tensor:
        """The last `last` tokens (None: all), [B, M, D]."""
        if self.recomputes and torch.is_grad_enabled():
            given = s_BSD, modulation, last
            return checkpoint(self._compute, *given, use_reentrant=False, preserve_rng_state=False)  # type: ignore[return-value]
        return self._compute(s_BSD, modulation, last)

    def _compute(self, s_BSD: Tensor, modulation: Modulation | None, last: int | None) -> Tensor:
        attention, mlp = modulation or (None, None)
        t_BMD = s_BSD if last is None else s_BSD[:, -last:]
        t_BMD = t_BMD + _gated(self.attn(_shifted(self.norm1(s_BSD), attention), last=last), attention)
        return t_BMD + _gated(self.mlp(_shifted(self.norm2(t_BMD), mlp)), mlp)


def _shifted(x_BSD: Tensor, change: Change | None) -> Tensor:
    return x_BSD if change is None else x_BSD * (1 + change.scale_B1D) + change.shift_B1D


def _gated(branch_BSD: Tensor, change: Change | None) -> Tensor:
    return branch_BSD if change is None else change.gate_B1D * branch_BSD


def recompute(model: nn.Module, *, on: bool = True) -> None:
    """Make the blocks inside `model` recompute their activations in the backward pass, or store them."""
    for module in model.modules():
        if isinstance(module, Block):
            module.recomputes = on


def attention_path(device_type: str, *, precision: str) -> AttentionPath:
    """Return the faster attention path for a device type (`cpu`, `cuda`) and a precision (`fp32`, `bf16`)."""
    return "explicit" if (device_type, precision) == ("cpu", "bf16") else "fused"


def take_path(model: nn.Module, path: AttentionPath) -> None:
    """Set the attention path of every layer inside `model`, also of timm's layers."""
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = path == "fused"  # pyright: ignore[reportArgumentType]


class ZeroLinear(nn.Linear):
    """A linear map with weights and bias initialised to 0."""

    def reset_parameters(self) -> None:
        for parameter in self.parameters():
            nn.init.zeros_(parameter)


def xavier(model: nn.Module) -> None:
    """Draw the weights of every linear map and convolution inside `model` from torch's default generator."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and not isinstance(module, ZeroLinear):
            nn.init.xavier_uniform_(module.weight.view(module.weight.shape[0], -1))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
