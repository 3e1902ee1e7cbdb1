"""The numbers of context and target patches, and how often blocks are redrawn to reach them.

    K_context = round(context_ratio N)      K_target = round(target_ratio N)      N = grid^2
    failure after R tries = (1 - accepted)^R < 1e-6

A draw of blocks is accepted when the targets can be chosen inside the union of the blocks (inside each block, where
`masks.sequences` is `blocks`) and the context outside it (and inside I-JEPA's context block, for `multiblock`). The
share of accepted draws is found once per setting by simulation, with numpy alone, so that a login node can refuse a
setting before anything is queued. [OURS] I-JEPA cuts every mask to the smallest of its batch instead, so that its
context depends on the batch size: `masks.official_quirks`, official_masks.py.

Shapes: S draws, M blocks, G the side of the grid.
"""

import math
from functools import lru_cache

import numpy as np

from iwm_core.config import MasksConfig, TrialConfig, check_range
from iwm_core.data import official_masks
from iwm_core.data.blocks import Array, Blocks, blocks, inside, union
from iwm_core.errors import ConfigError

REDRAWN_MAX = 0.95
FAILURE_MAX = 1e-6
SIMULATED = 4096


def counts(config: TrialConfig) -> tuple[int, int]:
    """(K_context, K_target): patches the encoder sees and patches the predictor predicts, of every sample."""
    return _counts(config.masks, config.grid)


def tries(config: TrialConfig) -> int:
    """Return R, draws per sample: fewer than one sample in a million has no accepted draw."""
    rejected = min(REDRAWN_MAX, 1 - acceptance(config.masks, grid=config.grid))  # beyond that `check` refuses
    return max(1, math.ceil(math.log(FAILURE_MAX) / math.log(max(rejected, FAILURE_MAX))))


def check(config: TrialConfig) -> None:
    """Check grid and masks; cheap after the first call with the same masks and grid.

    Raises:
        ConfigError: the image is not a whole number of patches, a count is impossible, or more than 95 % of the draws
            would be thrown away. The message names the settings to change.
    """
    size, patch = config.data.image_size, config.encoder.patch_size
    if patch < 1 or size < patch or size % patch:
        raise ConfigError.wrong("data.image_size", size, f"is not a multiple of encoder.patch_size={patch}")
    _check_ranges(config.masks)
    if config.masks.official_quirks:
        return official_masks.check(config)
    _check_counts(config.masks, config.grid)
    redrawn = 1 - acceptance(config.masks, grid=config.grid)
    if redrawn > REDRAWN_MAX:
        raise ConfigError(
            f"{redrawn:.1%} of the masks would be redrawn on a grid of {config.grid} x {config.grid} (at most "
            f"{REDRAWN_MAX:.0%} may be): lower masks.context_ratio={config.masks.context_ratio:g} or "
            f"masks.target_ratio={config.masks.target_ratio:g}, or change masks.blocks, masks.area_min, masks.area_max",
            setting="masks.context_ratio",
            value=config.masks.context_ratio,
        )


@lru_cache(maxsize=1024)
def acceptance(masks: MasksConfig, *, grid: int) -> float:
    """Share of the draws that give enough targets and enough context, from a fixed simulation."""
    u_SM4 = np.random.Generator(np.random.Philox(0)).random((SIMULATED, numbers(masks), 4), dtype=np.float32)
    drawn, cells_G = rectangles(u_SM4, masks=masks, grid=grid), np.arange(grid)
    union_SGG, free_SGG = regions(drawn, cells_G=cells_G)
    room_S = union_SGG.sum((-1, -2))
    if masks.sequences == "blocks":
        room_S = inside(drawn[0], cells_G).sum((-1, -2)).min(-1)
    context, target = _counts(masks, grid)
    enough = (room_S >= target) & (free_SGG.sum((-1, -2)) >= context)
    return float(enough.mean())


def numbers(masks: MasksConfig) -> int:
    """Rectangles per draw: the target blocks, and the context block where there is one."""
    return masks.blocks + (masks.kind == "multiblock")


def rectangles(u: Array, *, masks: MasksConfig, grid: int) -> tuple[Blocks, Blocks | None]:
    """The target blocks [..., M] and I-JEPA's context block [...] (None for `union`) from u [..., numbers, 4]."""
    area, aspect = (masks.area_min, masks.area_max), (masks.aspect_min, masks.aspect_max)
    target = blocks(u[..., : masks.blocks, :], grid=grid, area=area, aspect=aspect)
    if masks.kind == "union":
        return target, None
    area = (masks.context_area_min, masks.context_area_max)
    return target, blocks(u[..., -1, :], grid=grid, area=area, aspect=(1.0, 1.0))


def regions(drawn: tuple[Blocks, Blocks | None], *, cells_G: Array) -> tuple[Array, Array]:
    """bool [..., G, G] twice: where targets may lie (the union), and where context may lie; they never overlap."""
    target, context = drawn
    union_GG = union(inside(target, cells_G))
    free_GG = ~union_GG if context is None else inside(context, cells_G) & ~union_GG
    return union_GG, free_GG


def _counts(masks: MasksConfig, grid: int) -> tuple[int, int]:
    return round(masks.context_ratio * grid**2), round(masks.target_ratio * grid**2)


def _check_counts(masks: MasksConfig, grid: int) -> None:
    context, target = _counts(masks, grid)
    if min(context, target) < 1 or context + target > grid**2:
        raise ConfigError(
            f"masks.context_ratio={masks.context_ratio:g} and masks.target_ratio={masks.target_ratio:g} give {context} "
            f"context and {target} target patches of {grid**2}: each needs at least 1, together at most {grid**2}",
            setting="masks.context_ratio",
            value=masks.context_ratio,
        )


def _check_ranges(masks: MasksConfig) -> None:
    if masks.blocks < 1:
        raise ConfigError.wrong("masks.blocks", masks.blocks, "must be at least 1")
    for name, most in (("area", 1.0), ("aspect", math.inf), ("context_area", 1.0)):
        check_range(masks, f"masks.{name}", most=most)
