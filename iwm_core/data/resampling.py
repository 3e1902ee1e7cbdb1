r"""Crop, resize and flip of many images at once, as two matrix products.

    out = A_y I A_x^T    A[i, j] = k((j + 1/2 - c_i) / s) / sum_j k(...)    c_i = start + (i + 1/2) r    s = max(r, 1)

Symbols: I the whole image, r the crop's length over the output's, k the filter (a triangle, or Keys' cubic with
a = -1/2), j over the crop's pixels only. A flip reverses the rows of A_x. Source: Pillow's antialiased resize, which
torch follows in `interpolate(antialias=True)`; equal to it on the crop within float rounding.

Products are in float64, and halves are lifted by a millionth before rounding: so the bytes do not depend on the order
in which a matrix product sums, which differs between thread counts.

Shapes: B images, C channels, H and W stored pixels, S pixels of the output; boxes `_B4` are (top, left, height, width).
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

Interpolation = Literal["bilinear", "bicubic"]


def resize_crops(
    image_BCHW: Tensor, box_B4: np.ndarray, *, size: int, interpolation: Interpolation, flip_B: np.ndarray | None = None
) -> Tensor:
    """uint8 [B, C, S, S]: each image's box, resized to `size` and flipped where `flip_B` says so."""
    box_B4 = np.broadcast_to(box_B4, (len(image_BCHW), 4))
    rows = weights(box_B4[:, 0], box_B4[:, 2], stored=image_BCHW.shape[2], size=size, interpolation=interpolation)
    columns = weights(box_B4[:, 1], box_B4[:, 3], stored=image_BCHW.shape[3], size=size, interpolation=interpolation)
    if flip_B is not None:
        columns[flip_B] = columns[flip_B, ::-1]
    rows_B1SH, columns_B1WS = torch.from_numpy(rows)[:, None], torch.from_numpy(columns).mT[:, None]
    out_BCSS = rows_B1SH @ (image_BCHW.double() @ columns_B1WS)
    return out_BCSS.add_(0.5 + 1e-6).floor_().clamp_(0, 255).byte()


def weights(
    start_B: np.ndarray, length_B: np.ndarray, *, stored: int, size: int, interpolation: Interpolation
) -> np.ndarray:
    """float64 [B, size, stored]: how much of each stored pixel goes into each pixel of the output."""
    ratio_B11 = (length_B / size)[:, None, None]
    start_B11 = start_B[:, None, None]
    centre_BS1 = start_B11 + (np.arange(size)[:, None] + 0.5) * ratio_B11
    pixel_H = np.arange(stored)
    weight_BSH = _FILTERS[interpolation](np.abs(pixel_H + 0.5 - centre_BS1) / np.maximum(ratio_B11, 1))
    weight_BSH *= (pixel_H >= start_B11) & (pixel_H < start_B11 + length_B[:, None, None])
    return weight_BSH / weight_BSH.sum(2, keepdims=True)


def _triangle(distance: np.ndarray) -> np.ndarray:
    return np.clip(1 - distance, 0, None)


def _cubic(distance: np.ndarray) -> np.ndarray:
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.where(distance < 1, near, np.where(distance < 2, far, 0))


_FILTERS = {"bilinear": _triangle, "bicubic": _cubic}
