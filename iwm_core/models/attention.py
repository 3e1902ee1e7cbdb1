"""Which of timm's two attention paths a model takes, and a block's output: modulated, or for a few of its tokens.

`fused` is torch's scaled_dot_product_attention, `explicit` writes the product out. On the CPU under bf16 autocast the
backward pass of the fused kernel is pathological, so that one pair takes the explicit path. Forward and backward of two
blocks, median of 10, one thread of an AMD EPYC (Zen 4, AVX-512 bf16), torch 2.15, timm 1.0.31, November 2026:

    batch x tokens x width, heads      fp32 fused   fp32 explicit   bf16 fused   bf16 explicit
    64 x  16 x  64, 2                     10.5 ms         10.4 ms      21.2 ms          8.5 ms
    64 x  14 x  64, 2                      9.6            10.4         20.7             7.7
    64 x   7 x  64, 2                      5.4             5.7          5.6             4.9
     8 x 196 x 192, 3                    115.9           117.9         81.4            60.8

Deviation: none in the mathematics; the two paths differ in rounding, so the choice is part of a run's fingerprint.

Shapes: B batch, S tokens, M the last of them, D width, H heads, F features of a head.
"""

from typing import Any, Literal, NamedTuple

from timm.layers import Attention  # pyright: ignore[reportPrivateImportUsage]
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional

AttentionPath = Literal["fused", "explicit"]


def attention_path(device_type: str, *, precision: str) -> AttentionPath:
    """The faster path for a device type (`cpu`, `cuda`) and a precision (`fp32`, `bf16`)."""
    return "explicit" if (device_type, precision) == ("cpu", "bf16") else "fused"


def take_path(model: nn.Module, path: AttentionPath) -> None:
    """Makes every attention layer inside `model` take `path`."""
    for module in model.modules():
        if isinstance(module, Attention):
            module.fused_attn = path == "fused"  # pyright: ignore[reportAttributeAccessIssue]


class Change(NamedTuple):
    """What happens to one branch f of a block: x + gate f(norm(x) (1 + scale) + shift). Each is [B, 1, D]."""

    shift_B1D: Tensor
    scale_B1D: Tensor
    gate_B1D: Tensor


class Modulation(NamedTuple):
    """Both branches of a block."""

    attention: Change
    mlp: Change


def modulated(block: Block, s_BSD: Tensor, modulation: Modulation | None) -> Tensor:
    """`block(s_BSD)`, [B, S, D], with its two branches changed by `modulation`. For a plain timm block, as below."""
    if modulation is None:
        return block(s_BSD)
    branch_BSD = block.attn(_shifted(block.norm1(s_BSD), modulation.attention))
    return _with_mlp(block, s_BSD + _gated(branch_BSD, modulation.attention), modulation)


def last_tokens(block: Block, s_BSD: Tensor, *, count: int, modulation: Modulation | None = None) -> Tensor:
    """`modulated(block, s_BSD)[:, -count:]`, [B, M, D], at the cost of those tokens: only the last `count` ask.

    All tokens are keys. For a plain timm block: no layer scale, drop path, gate or norm of queries and keys.
    """
    attn: Any = block.attn
    change = modulation and modulation.attention
    D, normed_BSD = s_BSD.shape[-1], _shifted(block.norm1(s_BSD), change)
    weight, bias = attn.qkv.weight, attn.qkv.bias
    q_BHMF = _heads(functional.linear(normed_BSD[:, -count:], weight[:D], bias[:D]), count=attn.num_heads)
    k_BHSF, v_BHSF = (
        _heads(part_BSD, count=attn.num_heads)
        for part_BSD in functional.linear(normed_BSD, weight[D:], bias[D:]).chunk(2, dim=-1)
    )
    if attn.fused_attn:
        o_BHMF = functional.scaled_dot_product_attention(q_BHMF, k_BHSF, v_BHSF)
    else:
        o_BHMF = (attn.scale * q_BHMF @ k_BHSF.transpose(-2, -1)).softmax(dim=-1) @ v_BHSF
    branch_BMD = attn.proj(o_BHMF.transpose(1, 2).flatten(2))
    return _with_mlp(block, s_BSD[:, -count:] + _gated(branch_BMD, change), modulation)


def _with_mlp(block: Block, t_BMD: Tensor, modulation: Modulation | None) -> Tensor:
    change = modulation and modulation.mlp
    return t_BMD + _gated(block.mlp(_shifted(block.norm2(t_BMD), change)), change)


def _shifted(x_BSD: Tensor, change: Change | None) -> Tensor:
    return x_BSD if change is None else x_BSD * (1 + change.scale_B1D) + change.shift_B1D


def _gated(branch_BSD: Tensor, change: Change | None) -> Tensor:
    return branch_BSD if change is None else change.gate_B1D * branch_BSD


def _heads(x_BSD: Tensor, *, count: int) -> Tensor:
    return x_BSD.unflatten(-1, (count, -1)).transpose(1, 2)
