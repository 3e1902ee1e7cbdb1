r"""Rectangles of patches, from uniform numbers.

    area = N (a_min + u_0 (a_max - a_min))      r = r_min (r_max / r_min)^u_1
    height = round sqrt(area r)                 width = round sqrt(area / r)        both clipped to [1, grid]
    top = floor(u_2 (grid - height + 1))        left = floor(u_3 (grid - width + 1))

Symbols: N = grid^2 patches, a the block's share of them, r its aspect ratio (height / width, uniform in the logarithm),
u uniform in [0, 1). Source: I-JEPA's multi-block masks [C1]. Deviations: I-JEPA's code sets area and aspect ratio from
one number and never reaches the last row and column; here the numbers are independent and the bounds inclusive.

Neither torch nor numpy is imported: everything below is operators and methods that both kinds of array have, so a login
node simulates with numpy what training does on the device. float32 numbers u = k / 2^24, as `randomness.uniform` gives
them, keep u (grid - height + 1) below its bound after rounding, too, so `top` needs no clipping.

Shapes: the leading ones of u are free and kept; G is the grid's side, M counts blocks.
"""

from typing import Any, NamedTuple

Array = Any  # numpy.ndarray or torch.Tensor


class Blocks(NamedTuple):
    """Rectangles on the grid, in whole patches; each field has the leading shape of the numbers they came from."""

    height: Array
    width: Array
    top: Array
    left: Array


def blocks(u: Array, *, grid: int, area: tuple[float, float], aspect: tuple[float, float]) -> Blocks:
    """Rectangles from u [..., 4]; `area` is (least, most) as a share of the grid, `aspect` (least, most) of h / w."""
    patches = grid**2 * (area[0] + u[..., 0] * (area[1] - area[0]))
    ratio = aspect[0] * (aspect[1] / aspect[0]) ** u[..., 1]
    height = ((patches * ratio) ** 0.5).round().clip(1, grid)
    width = ((patches / ratio) ** 0.5).round().clip(1, grid)
    top = (u[..., 2] * (grid - height + 1)) // 1
    left = (u[..., 3] * (grid - width + 1)) // 1
    return Blocks(height, width, top, left)


def inside(rectangles: Blocks, cells_G: Array) -> Array:
    """bool [..., G, G], rows first: which patches each rectangle covers; `cells_G` counts 0 to G - 1."""
    rows = _between(cells_G, rectangles.top[..., None], rectangles.height[..., None])
    columns = _between(cells_G, rectangles.left[..., None], rectangles.width[..., None])
    return rows[..., :, None] & columns[..., None, :]


def union(inside_MGG: Array) -> Array:
    """bool [..., G, G]: the patches that any of the M blocks covers."""
    return inside_MGG.any(-3)


def _between(cells: Array, start: Array, length: Array) -> Array:
    return (cells >= start) & (cells < start + length)
