r"""Fixed two-dimensional sine-cosine positions.

    e(t)_i = sin(t / 10000^(2i/w)),   e(t)_{w/2+i} = cos(t / 10000^(2i/w)),   i = 0 .. w/2 - 1,   w = D/2
    position of the patch at (row, column) = concat(e(column), e(row))

Source: MAE and I-JEPA's code, columns first [C1]; IWM is assumed to inherit it. No deviation.

Shapes: N patches in raster order, D width.
"""

import torch
from torch import Tensor

from iwm_core.errors import ConfigError


def sine_cosine(width: int, *, rows: int, columns: int) -> Tensor:
    """Positions of a grid of patches, float32 [N, D] with N = rows * columns.

    Raises:
        ConfigError: `width` is not a multiple of four.
    """
    if width % 4:
        raise ConfigError(f"sine-cosine positions need a width that is a multiple of 4, not {width}")
    row_N = torch.arange(rows).repeat_interleave(columns)
    column_N = torch.arange(columns).repeat(rows)
    return torch.cat([_line(width // 2, at_N=column_N), _line(width // 2, at_N=row_N)], dim=1).float()


def _line(width: int, *, at_N: Tensor) -> Tensor:
    """e(t) of the formula, in float64, [N, width]."""
    frequency = 10000.0 ** (-torch.arange(width // 2, dtype=torch.float64) / (width / 2))
    angle = at_N.double()[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)
