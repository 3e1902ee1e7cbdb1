"""Which of timm's two attention paths a model takes.

`fused` is torch's scaled_dot_product_attention, `explicit` writes the product out. On the CPU under bf16 autocast the
backward pass of the fused kernel is pathological, so that one pair takes the explicit path. Forward and backward of two
blocks, median of 10, one thread of an AMD EPYC (Zen 4, AVX-512 bf16), torch 2.15, timm 1.0.31, November 2026:

    batch x tokens x width, heads      fp32 fused   fp32 explicit   bf16 fused   bf16 explicit
    64 x  16 x  64, 2                     10.5 ms         10.4 ms      21.2 ms          8.5 ms
    64 x  14 x  64, 2                      9.6            10.4         20.7             7.7
    64 x   7 x  64, 2                      5.4             5.7          5.6             4.9
     8 x 196 x 192, 3                    115.9           117.9         81.4            60.8

Deviation: none in the mathematics; the two paths differ in rounding, so the choice is part of a run's fingerprint.
"""

from typing import Literal

from timm.layers import Attention  # pyright: ignore[reportPrivateImportUsage]
from torch import nn

AttentionPath = Literal["fused", "explicit"]


def attention_path(device_type: str, *, precision: str) -> AttentionPath:
    """The faster path for a device type (`cpu`, `cuda`) and a precision (`fp32`, `bf16`)."""
    return "explicit" if (device_type, precision) == ("cpu", "bf16") else "fused"


def take_path(model: nn.Module, path: AttentionPath) -> None:
    """Makes every attention layer inside `model` take `path`."""
    for module in model.modules():
        if isinstance(module, Attention):
            module.fused_attn = path == "fused"  # pyright: ignore[reportAttributeAccessIssue]
