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
    """The masks of `rows` of the `batch` samples at `step`; one draw for all of them where `masks.per` is `step`."""
    drawn = 1 if config.masks.per == "step" else batch
    patches, per_draw = config.grid**2, numbers(config.masks) * 4
    u_XB = uniform(config.seed, "masks", step, (patches + tries(config) * per_draw, drawn))
    if drawn > 1:
        u_XB = u_XB[:, rows]
    key_BN = onto(torch.from_numpy(np.ascontiguousarray(u_XB[:patches].T)), device)
    u_BRM4 = u_XB[patches:].T.reshape(len(key_BN), -1, numbers(config.masks), 4)
    union_BN, free_BN = _union(u_BRM4, config=config, device=device)
    context, target = counts(config)
    target_BM = choose(key_BN, (~union_BN).long(), target)
    taken_BN = torch.zeros_like(union_BN).scatter_(1, target_BM, True)
    context_BK = choose(key_BN, (~free_BN).long() + 2 * taken_BN, context)
    count = len(range(batch)[rows])
    return Masks(context_BK.expand(count, -1).contiguous(), target_BM.expand(count, -1).contiguous())


def _union(u_BRM4: np.ndarray, *, config: TrialConfig, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """bool [B, N] twice (union, free) of each sample's first accepted draw, or of the one that lacks least."""
    on_device, cells_G = _drawn(u_BRM4, config=config, device=device)
    union_BRN, free_BRN = (region.flatten(2) for region in regions(on_device, cells_G=cells_G))
    context, target = counts(config)
    lacking_BR = (target - union_BRN.sum(2)).clip(min=0) + (context - free_BRN.sum(2)).clip(min=0)
    chosen_B1N = lacking_BR.argmin(1).view(-1, 1, 1).expand(-1, 1, config.grid**2)
    return union_BRN.gather(1, chosen_B1N).squeeze(1), free_BRN.gather(1, chosen_B1N).squeeze(1)


def sequences(
    config: TrialConfig, step: int, *, batch: int, device: torch.device | str, rows: slice = slice(None)
) -> Sequences:
    """The masks of `rows` of the `batch` samples at `step`; with `masks.sequences=union` there is one sequence."""
    if config.masks.official_quirks:
        found = official_masks.draw(config, step, batch=batch)
        context_BK, target_BSM = (torch.from_numpy(index[rows].copy()) for index in found)
        return Sequences(onto(context_BK, device), onto(target_BSM, device))
    if config.masks.sequences == "union":
        one = sample(config, step, batch=batch, device=device, rows=rows)
        return Sequences(one.context_BK, one.target_BM[:, None])
    return _of_blocks(config, step, batch=batch, device=device, rows=rows)


def _of_blocks(config: TrialConfig, step: int, *, batch: int, device: torch.device | str, rows: slice) -> Sequences:
    drawn = 1 if config.masks.per == "step" else batch
    blocks, N, per_draw = config.masks.blocks, config.grid**2, numbers(config.masks) * 4
    u_XB = uniform(config.seed, "masks", step, ((1 + blocks) * N + tries(config) * per_draw, drawn))
    if drawn > 1:
        u_XB = u_XB[:, rows]
    u_BRM4 = u_XB[(1 + blocks) * N :].T.reshape(u_XB.shape[1], -1, numbers(config.masks), 4)
    key_BX = onto(torch.from_numpy(np.ascontiguousarray(u_XB[: (1 + blocks) * N].T)), device)
    key_BSN = key_BX.unflatten(1, (1 + blocks, N))
    block_BSN, free_BN = _blocks(u_BRM4, config=config, device=device)
    context, target = counts(config)
    target_BSM = choose(key_BSN[:, 1:].flatten(0, 1), (~block_BSN).long().flatten(0, 1), target)
    target_BSM = target_BSM.unflatten(0, (-1, blocks))
    taken_BN = torch.zeros_like(free_BN).scatter_(1, target_BSM.flatten(1), True)
    context_BK = choose(key_BSN[:, 0], (~free_BN).long() + 2 * taken_BN, context)
    count = len(range(batch)[rows])
    return Sequences(context_BK.expand(count, -1).contiguous(), target_BSM.expand(count, -1, -1).contiguous())


def _blocks(u_BRM4: np.ndarray, *, config: TrialConfig, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """bool [B, S, N] (each block) and [B, N] (free) of each sample's first accepted draw, or the least lacking one."""
    on_device, cells_G = _drawn(u_BRM4, config=config, device=device)
    block_BRSN = inside(on_device[0], cells_G).flatten(3)
    free_BRN = regions(on_device, cells_G=cells_G)[1].flatten(2)
    context, target = counts(config)
    lacking_BR = (target - block_BRSN.sum(3)).clip(min=0).sum(2) + (context - free_BRN.sum(2)).clip(min=0)
    chosen_B = lacking_BR.argmin(1)
    rows_B = torch.arange(len(chosen_B), device=chosen_B.device)
    return block_BRSN[rows_B, chosen_B], free_BRN[rows_B, chosen_B]


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
