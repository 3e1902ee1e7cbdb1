r"""Crop, resize and flip of many images at once, as two matrix products.

    out = A_y I A_x^T    A[i, j] = k((j + 1/2 - c_i) / s) / sum_j k(...)    c_i = start + (i + 1/2) r    s = max(r, 1)

Symbols: I the whole image, r the crop's length over the output's, k the filter (a triangle, or Keys' cubic with
a = -1/2), j over the crop's pixels only. A flip reverses the rows of A_x. Source: Pillow's antialiased resize, which
torch follows in `interpolate(antialias=True)`; equal to it on the crop within float rounding.

Products are in float64, and halves are lifted by a millionth before rounding: so the bytes do not depend on the order
in which a matrix product sums, which differs between thread counts.

Shapes: B images, C channels, H and W stored pixels, S pixels of the output,
K taps of the filter; boxes `_B4` are (top, left, height, width).
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Interpolation = Literal["bilinear", "bicubic"]


def resize_crops(
    image_BCHW: Tensor, box_B4: np.ndarray, *, size: int, interpolation: Interpolation, flip_B: np.ndarray | None = None
) -> Tensor:
    """uint8 [B, C, S, S]: each image's box, resized to `size` and flipped where `flip_B` says so."""
    batch, channels, height, width = image_BCHW.shape
    top_B, left_B, h_B, w_B = torch.from_numpy(np.broadcast_to(box_B4, (batch, 4)).T.copy())
    rows_BSH = weights(top_B, h_B, stored=height, size=size, interpolation=interpolation)
    columns_BSW = weights(left_B, w_B, stored=width, size=size, interpolation=interpolation)
    if flip_B is not None:
        columns_BSW = torch.where(torch.from_numpy(flip_B)[:, None, None], columns_BSW.flip(1), columns_BSW)
    across_BHCW = image_BCHW.transpose(1, 2).double()  # rows outermost: each product is one matrix per image
    across_BHCS = (across_BHCW.reshape(batch, -1, width) @ columns_BSW.mT).view(batch, height, channels * size)
    out_BSCS = (rows_BSH @ across_BHCS).view(batch, size, channels, size)
    return out_BSCS.add_(0.5 + 1e-6).clamp_(0, 255).byte().transpose(1, 2).contiguous()


def weights(start_B: Tensor, length_B: Tensor, *, stored: int, size: int, interpolation: Interpolation) -> Tensor:
    """float64 [B, size, stored]: how much of each stored pixel goes into each pixel of the output."""
    reach, kernel = _FILTERS[interpolation]
    ratio_B11 = (length_B / size).double()[:, None, None]
    stretch_B11 = ratio_B11.clamp(min=1)
    start_B11, end_B11 = start_B[:, None, None], (start_B + length_B)[:, None, None]
    centre_BS1 = start_B11 + (torch.arange(size)[:, None] + 0.5) * ratio_B11
    taps_K = torch.arange(int(2 * reach * stretch_B11.max()) + 2)
    pixel_BSK = (centre_BS1 - reach * stretch_B11).floor().long() + taps_K
    weight_BSK = kernel((pixel_BSK + 0.5 - centre_BS1).abs_().div_(stretch_B11))
    weight_BSK *= (pixel_BSK >= start_B11) & (pixel_BSK < end_B11)
    weight_BSK /= weight_BSK.sum(2, keepdim=True)
    dense_BSH = torch.zeros(len(start_B), size, stored, dtype=torch.float64)
    return dense_BSH.scatter_add_(2, pixel_BSK.clamp_(0, stored - 1), weight_BSK)


def _triangle(distance: Tensor) -> Tensor:
    return (1 - distance).clamp_(min=0)


def _cubic(distance: Tensor) -> Tensor:
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0))


_FILTERS: dict[str, tuple[int, Callable[[Tensor], Tensor]]] = {"bilinear": (1, _triangle), "bicubic": (2, _cubic)}
"""How far each filter reaches, in pixels of the output, and the filter."""
