r"""Masks: which patches the encoder sees (context) and which the predictor predicts (target).

    target   = K_target patches of U, the union of the blocks                      one sequence (`sample`)
    target_s = K_target patches of block s, s = 1 .. S, blocks may overlap         one sequence a block (`sequences`)
    context  = K_context patches of the complement of U [C2], or of I-JEPA's large block minus U (`multiblock`) [C1]

Symbols: U the union of `masks.blocks` rectangles (blocks.py), N = grid^2 patches, K the fixed counts (mask_counts.py;
`masks.target_ratio` is the share of each block where there are several sequences). Patches are drawn uniformly, without
replacement. Source: IWM, union of four rectangles of 15-20 % each, predicted in one pass [C2]; I-JEPA predicts its four
blocks in four passes over one context [C1]. Deviation: counts are fixed by the configuration, so that shapes are
static: R draws of blocks are made at once, the first that leaves room for every count is taken, and the sets are
subsampled uniformly. In fewer than one sample in a million no draw fits; then the nearest one is filled up from the
patches outside (U, the block or the large block), and the counts hold all the same. With `masks.official_quirks` the
indices are those of official_masks.py.

Everything is a function of (seed, step, sample) and nothing is read back from the device.

Shapes: B samples, R draws, M blocks, S sequences, G side of the grid, N patches, K context patches, M target patches in
`_BM` and `_BSM`.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from iwm_core.config import TrialConfig
from iwm_core.data import official_masks
from iwm_core.data.blocks import Blocks, inside
from iwm_core.data.mask_counts import check, counts, numbers, rectangles, regions, tries
from iwm_core.randomness import uniform
from iwm_core.tensors import onto

__all__ = ["Masks", "Sequences", "check", "counts", "sample", "sequences"]


@dataclass(frozen=True)
class Masks:
    """Patch indices in raster order, ascending, int64. No index is in both rows of a sample."""

    context_BK: Tensor
    target_BM: Tensor


@dataclass(frozen=True)
class Sequences:
    """Patch indices in raster order, ascending, int64. No target is in its sample's context."""

    context_BK: Tensor
    target_BSM: Tensor

    def apart(self) -> Masks:
        """Each sequence as a sample of its own, [B S, ...], those of one sample side by side."""
        S = self.target_BSM.shape[1]
        return Masks(self.context_BK.repeat_interleave(S, dim=0), self.target_BSM.flatten(0, 1))


def sample(
    config: TrialConfig, step: int, *, batch: int, device: torch.device | str, rows: slice = slice(None)
) -> Masks:
    """Return the masks of `rows` of the `batch` samples at `step`, with one target sequence.

    With `masks.per=step` all samples share one draw.
    """
    one = _sequences(config, step, batch=batch, device=device, rows=rows, by_block=False)
    return Masks(one.context_BK, one.target_BSM[:, 0])


def sequences(
    config: TrialConfig, step: int, *, batch: int, device: torch.device | str, rows: slice = slice(None)
) -> Sequences:
    """Return the masks of `rows` of the `batch` samples at `step`; with `masks.sequences=union` S is 1."""
    if config.masks.official_quirks:
        found = official_masks.draw(config, step, batch=batch)
        context_BK, target_BSM = (torch.from_numpy(index[rows].copy()) for index in found)
        return Sequences(onto(context_BK, device), onto(target_BSM, device))
    by_block = config.masks.sequences == "blocks"
    return _sequences(config, step, batch=batch, device=device, rows=rows, by_block=by_block)


def _sequences(
    config: TrialConfig, step: int, *, batch: int, device: torch.device | str, rows: slice, by_block: bool
) -> Sequences:
    """Draw one target sequence per block, or one from their union."""
    drawn = 1 if config.masks.per == "step" else batch
    S, N, per_draw = config.masks.blocks if by_block else 1, config.grid**2, numbers(config.masks) * 4
    keys = 1 + S if by_block else 1  # the union and the context share one
    u_XB = uniform(config.seed, "masks", step, (keys * N + tries(config) * per_draw, drawn))
    if drawn > 1:
        u_XB = u_XB[:, rows]
    u_BRM4 = u_XB[keys * N :].T.reshape(u_XB.shape[1], -1, numbers(config.masks), 4)
    key_BXN = onto(torch.from_numpy(np.ascontiguousarray(u_XB[: keys * N].T)), device).unflatten(1, (keys, N))
    region_BSN, free_BN = _accepted(u_BRM4, config=config, device=device, by_block=by_block)
    context, target = counts(config)
    target_XM = choose(key_BXN[:, -S:].flatten(0, 1), (~region_BSN).long().flatten(0, 1), target)
    target_BSM = target_XM.unflatten(0, (-1, S))
    taken_BN = torch.zeros_like(free_BN).scatter_(1, target_BSM.flatten(1), True)
    context_BK = choose(key_BXN[:, 0], (~free_BN).long() + 2 * taken_BN, context)
    count = len(range(batch)[rows])
    return Sequences(context_BK.expand(count, -1).contiguous(), target_BSM.expand(count, -1, -1).contiguous())


def _accepted(
    u_BRM4: np.ndarray, *, config: TrialConfig, device: torch.device | str, by_block: bool
) -> tuple[Tensor, Tensor]:
    """Return bool [B, S, N] (each block, or the union) and [B, N] (free) of each sample's first accepted draw.

    If no draw is accepted, the one that lacks the fewest patches is taken.
    """
    on_device, cells_G = _drawn(u_BRM4, config=config, device=device)
    union_BRN, free_BRN = (region.flatten(2) for region in regions(on_device, cells_G=cells_G))
    region_BRSN = inside(on_device[0], cells_G).flatten(3) if by_block else union_BRN[:, :, None]
    context, target = counts(config)
    lacking_BR = (target - region_BRSN.sum(3)).clip(min=0).sum(2) + (context - free_BRN.sum(2)).clip(min=0)
    chosen_B = lacking_BR.argmin(1)
    rows_B = torch.arange(len(chosen_B), device=chosen_B.device)
    return region_BRSN[rows_B, chosen_B], free_BRN[rows_B, chosen_B]


def _drawn(
    u_BRM4: np.ndarray, *, config: TrialConfig, device: torch.device | str
) -> tuple[tuple[Blocks, Blocks | None], Tensor]:
    """Blocks and the large block of each draw, and the cells along a side, on the device."""
    blocks, large = rectangles(u_BRM4, masks=config.masks, grid=config.grid)  # on the host: every device rounds alike
    return (moved(blocks, device), large and moved(large, device)), torch.arange(config.grid, device=device)


def moved(rectangles: Blocks, device: torch.device | str) -> Blocks:
    """The same rectangles, on the device."""
    return Blocks(*(onto(torch.from_numpy(field.astype(np.int16)), device) for field in rectangles))


def choose(key_BN: Tensor, rank_BN: Tensor, count: int) -> Tensor:
    """`count` indices of each row in ascending order: lowest rank first, uniformly (by key) within a rank."""
    return (key_BN + rank_BN).argsort(dim=1, stable=True)[:, :count].sort(1).values
