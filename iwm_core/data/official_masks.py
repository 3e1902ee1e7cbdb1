r"""I-JEPA's multi-block masks as its released code draws them, with details that its paper omits.

    s = a_min + u (a_max - a_min),   r = r_min + u (r_max - r_min)          one number u sets scale and aspect ratio
    height = min(round sqrt(floor(s N) r), G - 1),   width = min(round sqrt(floor(s N) / r), G - 1)
    top = floor(v (G - height)),   left = floor(w (G - width))              exclusive: the last row and column stay free
    context = the large block minus all target blocks, cut to the least count of the batch in raster order

Symbols: N = G^2 patches; u one number a step, for the targets and for the context block (whose r is 1); v, w one pair a
block and sample. Source: I-JEPA's code [C1], five quirks that `masks.official_quirks` reproduces; every block of a step
is of one size, so the targets are never cut, and the cut drops the lowest patches of the context.
Deviations: the batch is the global one, where the code cuts to the least of each GPU's share, so that masks do not
depend on the number of ranks; where at most `KEEP` patches of context are left, all blocks of the sample are placed
anew, up to `TRIES` times (the code places the context block anew and then lets it overlap); grids on which that is not
rare are refused. Numbers come from (seed, step, sample), not from a shared counter and torch's global state.

The context's count changes from step to step. Nothing here is read from a device, but all is done on the host, patch by
patch: a reference, not the fast path. Only numpy is imported.

Shapes: B samples, R tries, S target sequences, G side of the grid, N patches, K context patches, M patches of a block.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from iwm_core.config import MasksConfig, TrialConfig
from iwm_core.data.blocks import Blocks, inside
from iwm_core.errors import ConfigError
from iwm_core.randomness import generator

KEEP = 10
"""The context has more patches than this [C1, the released configurations]."""
TRIES = 8
ACCEPTED_MIN = 0.9
SIMULATED_STEPS = 256


class Indices(NamedTuple):
    """Patch indices in raster order, ascending, int64."""

    context_BK: np.ndarray
    target_BSM: np.ndarray


class Size(NamedTuple):
    """The size of a block, in patches."""

    height: int
    width: int


def check(config: TrialConfig) -> None:
    """Check that the settings are I-JEPA's and the grid is large enough.

    Raises:
        ConfigError: with the setting to change.
    """
    masks, grid = config.masks, config.grid
    if (masks.kind, masks.sequences) != ("multiblock", "blocks"):
        raise ConfigError(
            "masks.official_quirks=true is for masks.kind=multiblock and masks.sequences=blocks, not for "
            f"masks.kind={masks.kind} and masks.sequences={masks.sequences}",
            setting="masks.official_quirks",
            value=True,
        )
    if grid < 2 or acceptance(masks, grid=grid) < ACCEPTED_MIN:
        raise ConfigError(
            f"masks.official_quirks=true leaves at most {KEEP} patches of context too often on a grid of {grid} x "
            f"{grid}: use a larger data.image_size, a smaller encoder.patch_size, or masks.official_quirks=false",
            setting="encoder.patch_size",
            value=config.encoder.patch_size,
        )


@lru_cache(maxsize=256)
def acceptance(masks: MasksConfig, *, grid: int) -> float:
    """Share of the placements that leave more than `KEEP` patches of context, from a fixed simulation."""
    draw, counts = np.random.Generator(np.random.Philox(0)), []
    for _ in range(SIMULATED_STEPS):
        target, context = sizes(masks, grid=grid, u_2=draw.random(2))
        counts.append(_free(masks, draw.random((16, masks.blocks + 1, 2)), target, context, grid=grid).sum((-1, -2)))
    return float((np.stack(counts) > KEEP).mean())


def draw(config: TrialConfig, step: int, *, batch: int) -> Indices:
    """The masks of all `batch` samples of `step`; one placement for all of them where `masks.per` is `step`."""
    masks, grid = config.masks, config.grid
    numbers, drawn = generator(config.seed, "masks", step), 1 if masks.per == "step" else batch
    target, context = sizes(masks, grid=grid, u_2=numbers.random(2))
    place_BRB2 = numbers.random((drawn, TRIES, masks.blocks + 1, 2))
    count_BR = _free(masks, place_BRB2, target, context, grid=grid).sum((-1, -2))
    first_B = np.where((count_BR > KEEP).any(1), (count_BR > KEEP).argmax(1), count_BR.argmax(1))
    place_BB2 = place_BRB2[np.arange(drawn), first_B]
    context_BK = _cut(_free(masks, place_BB2, target, context, grid=grid))
    target_BSM = _cut(inside(_placed(place_BB2[:, :-1], target, grid=grid), np.arange(grid)))
    return Indices(*(np.broadcast_to(index, (batch, *index.shape[1:])) for index in (context_BK, target_BSM)))


def sizes(masks: MasksConfig, *, grid: int, u_2: np.ndarray) -> tuple[Size, Size]:
    """Of this step's target blocks, and of its context blocks."""
    area, aspect = (masks.area_min, masks.area_max), (masks.aspect_min, masks.aspect_max)
    context_area = (masks.context_area_min, masks.context_area_max)
    return _size(u_2[0], area, aspect, grid=grid), _size(u_2[1], context_area, (1.0, 1.0), grid=grid)


def _size(u: float, area: tuple[float, float], aspect: tuple[float, float], *, grid: int) -> Size:
    patches = int(grid**2 * (area[0] + u * (area[1] - area[0])))
    ratio = aspect[0] + u * (aspect[1] - aspect[0])
    height, width = round(math.sqrt(patches * ratio)), round(math.sqrt(patches / ratio))
    return Size(max(1, min(height, grid - 1)), max(1, min(width, grid - 1)))


def _placed(place_X2: np.ndarray, size: Size, *, grid: int) -> Blocks:
    top_X = np.floor(place_X2[..., 0] * (grid - size.height))
    left_X = np.floor(place_X2[..., 1] * (grid - size.width))
    return Blocks(np.full_like(top_X, size.height), np.full_like(top_X, size.width), top_X, left_X)


def _free(masks: MasksConfig, place_XB2: np.ndarray, target: Size, context: Size, *, grid: int) -> np.ndarray:
    """bool [..., G, G]: the context block, placed last, without the targets."""
    cells_G = np.arange(grid)
    targets_XSGG = inside(_placed(place_XB2[..., : masks.blocks, :], target, grid=grid), cells_G)
    return inside(_placed(place_XB2[..., masks.blocks, :], context, grid=grid), cells_G) & ~targets_XSGG.any(-3)


def _cut(region_XGG: np.ndarray) -> np.ndarray:
    """The indices of each region, [..., K], as many as the smallest has, the first ones in raster order."""
    region_XN = region_XGG.reshape(*region_XGG.shape[:-2], -1)
    return np.argsort(~region_XN, axis=-1, kind="stable")[..., : int(region_XN.sum(-1).min())]
