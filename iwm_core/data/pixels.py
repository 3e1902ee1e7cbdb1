r"""Photometric operations on a batch, each image with its own parameter.

    brightness  f x                              saturation  f x + (1 - f) l(x)
    contrast    f x + (1 - f) mean l(x)          grayscale   l(x)
    hue         HSV: h + t mod 1, or YIQ: the (I, Q) plane turned by -2 pi t
    blur        A x A^T, A the reflect-padded Gaussian of deviation sigma      solarize    1 - x where x >= threshold

Symbols: x in [0, 1]; l = 0.2989 R + 0.587 G + 0.114 B; f a factor (identity 1); t turns (identity 0). Results are
clamped to [0, 1] wherever they can leave it. Source: torchvision.transforms.v2.functional, which takes one parameter
for a whole batch; equal to it image by image within float32 rounding, except `hue_yiq`, which torchvision lacks: it is
linear, keeps luma before the clamp, and agrees with the HSV shift only in direction.

Every operation changes its images in place, as the underscore says, and returns them: at this size most of the time
would go into fresh memory. Parameters arrive on the host, so that rows can be chosen without waiting for the device.

Shapes: B images, C = 3 channels, H and W pixels, K taps of a kernel.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from iwm_core.tensors import onto

LUMA = (0.2989, 0.587, 0.114)

_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


def brightness_(x_BCHW: Tensor, factor_B: Tensor) -> Tensor:
    """Scales the light."""
    return x_BCHW.mul_(_per_image(factor_B, x_BCHW)).clamp_(0, 1)


def contrast_(x_BCHW: Tensor, factor_B: Tensor) -> Tensor:
    """Mixes each image with its mean luma."""
    factor_B111 = _per_image(factor_B, x_BCHW)
    rest_B111 = _luma(x_BCHW.mean((2, 3), keepdim=True)).mul_(1 - factor_B111)
    return x_BCHW.mul_(factor_B111).add_(rest_B111).clamp_(0, 1)


def saturation_(x_BCHW: Tensor, factor_B: Tensor) -> Tensor:
    """Mixes each pixel with its luma."""
    factor_B111 = _per_image(factor_B, x_BCHW)
    rest_B1HW = _luma(x_BCHW).mul_(1 - factor_B111)
    return x_BCHW.mul_(factor_B111).add_(rest_B1HW).clamp_(0, 1)


def hue_hsv_(x_BCHW: Tensor, turns_B: Tensor) -> Tensor:
    """Shifts the hue of HSV; lightness and saturation of HSV stay."""
    value_B1HW, chroma_B1HW, sextant_B1HW = _value_chroma_sextant(x_BCHW)
    sextant_B1HW.add_(_per_image(6 * turns_B, x_BCHW))
    for channel, offset in enumerate((5, 3, 1)):
        k_B1HW = (sextant_B1HW + offset).remainder_(6)
        fall_B1HW = torch.minimum(k_B1HW, 4 - k_B1HW).clamp_(0, 1)
        torch.sub(value_B1HW, fall_B1HW.mul_(chroma_B1HW), out=x_BCHW[:, channel : channel + 1])
    return x_BCHW.clamp_(0, 1)


def hue_yiq_(x_BCHW: Tensor, turns_B: Tensor) -> Tensor:
    """Turns the chroma plane of YIQ; luma stays (before the clamp)."""
    turned = torch.bmm(_like(yiq_rotation(turns_B), x_BCHW), x_BCHW.flatten(2))
    return torch.clamp(turned.view_as(x_BCHW), 0, 1, out=x_BCHW)


def yiq_rotation(turns_B: Tensor) -> Tensor:
    """float32 [B, C, C]: the rotation as a matrix on RGB; exactly the unit matrix where nothing turns."""
    angle_B11 = 2 * math.pi * turns_B.double().view(-1, 1, 1)
    return (torch.eye(3) + (angle_B11.cos() - 1) * _CHROMA + angle_B11.sin() * _QUARTER).float()


def grayscale_(x_BCHW: Tensor) -> Tensor:
    """Luma in all three channels."""
    return x_BCHW.copy_(_luma(x_BCHW))


def blur_(x_BCHW: Tensor, sigma_B: Tensor, *, kernel: int) -> Tensor:
    """Gaussian blur over `kernel` pixels (odd) with reflected borders; sigma in pixels, above 0."""
    rows_BHH = _like(_gaussian_matrix(sigma_B, size=x_BCHW.shape[2], kernel=kernel), x_BCHW)
    columns_BWW = _like(_gaussian_matrix(sigma_B, size=x_BCHW.shape[3], kernel=kernel), x_BCHW)
    across_BCHW = torch.bmm(x_BCHW.flatten(1, 2), columns_BWW.mT).view_as(x_BCHW)
    for across_BHW, x_BHW in zip(across_BCHW.unbind(1), x_BCHW.unbind(1), strict=True):
        torch.bmm(rows_BHH, across_BHW, out=x_BHW)
    return x_BCHW


def solarize_(x_BCHW: Tensor, *, threshold: float) -> Tensor:
    """Invert values of at least `threshold`."""
    return torch.where(x_BCHW >= threshold, 1 - x_BCHW, x_BCHW, out=x_BCHW)


def on_rows_(x_BCHW: Tensor, value_B: Tensor, operation_: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """`operation_(x, value)` on the images whose value is not 0; the others stay as they are, to the bit."""
    rows = value_B.nonzero().flatten()
    if len(rows) == len(value_B):
        return operation_(x_BCHW, value_B)
    on_device = onto(rows, x_BCHW.device)
    return x_BCHW.index_copy_(0, on_device, operation_(x_BCHW.index_select(0, on_device), value_B[rows]))


def _like(x: Tensor, other: Tensor) -> Tensor:
    """`x` in the other's type and on its device, without a wait."""
    return onto(x.to(other.dtype), other.device)


def _per_image(value_B: Tensor, like: Tensor) -> Tensor:
    return _like(value_B, like).view(-1, 1, 1, 1)


def _luma(x_BCHW: Tensor) -> Tensor:
    red, green, blue = x_BCHW.split(1, 1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


def _value_chroma_sextant(x_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """HSV's value, value minus the least channel, and six times the hue (meaningless where chroma is 0)."""
    red, green, blue = x_BCHW.split(1, 1)
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    scale = chroma.clamp(min=1e-9).reciprocal_()
    below_red = torch.where(value == green, ((blue - red) * scale).add_(2), ((red - green) * scale).add_(4))
    return value, chroma, torch.where(value == red, (green - blue) * scale, below_red)


def _gaussian_matrix(sigma_B: Tensor, *, size: int, kernel: int) -> Tensor:
    """[B, size, size]: row i holds the weights of the pixels that make pixel i, borders reflected."""
    reach = kernel // 2
    taps_K = torch.arange(-reach, reach + 1)
    weight_BK = torch.exp(-0.5 * (taps_K / sigma_B[:, None]) ** 2)
    weight_BK = weight_BK / weight_BK.sum(1, keepdim=True)
    source_HK = torch.arange(size)[:, None] + taps_K
    source_HK = (size - 1) - ((size - 1) - source_HK.abs()).abs()
    matrix_BHH = torch.zeros(len(sigma_B), size, size)
    index_BHK, value_BHK = source_HK.expand(len(sigma_B), -1, -1), weight_BK[:, None].expand(-1, size, -1)
    return matrix_BHH.scatter_add_(2, index_BHK, value_BHK)


_CHROMA = torch.from_numpy(_FROM_YIQ @ np.diag([0.0, 1.0, 1.0]) @ _TO_YIQ)
_QUARTER = torch.from_numpy(_FROM_YIQ @ np.array([[0.0, 0, 0], [0, 0, 1], [0, -1, 0]]) @ _TO_YIQ)
