r"""Masks: which patches the encoder sees (context) and which the predictor predicts (target).

    target  = K_target patches of U, the union of the blocks                       uniformly, without replacement
    context = K_context patches of the complement of U [C2], or of I-JEPA's large block minus U (`multiblock`) [C1]

Symbols: U the union of `masks.blocks` rectangles (blocks.py), N = grid^2 patches, K the fixed counts (mask_counts.py).
Source: IWM, union of four rectangles of 15-20 % each, predicted in one pass [C2]. Deviation: counts are fixed by the
configuration, so that shapes are static: R draws of blocks are made at once, the first that leaves room for both counts
is taken, and both sets are subsampled uniformly. In fewer than one sample in a million no draw fits; then the nearest
one is filled up from the patches outside U (or outside the large block), and the counts hold all the same.

Everything is a function of (seed, step, sample) and nothing is read back from the device.

Shapes: B samples, R draws, M blocks, G side of the grid, N patches, K context patches, M target patches in `_BM`.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from iwm_core.config import TrialConfig
from iwm_core.data.blocks import Blocks
from iwm_core.data.mask_counts import check, counts, numbers, rectangles, regions, tries
from iwm_core.randomness import uniform
from iwm_core.tensors import onto

__all__ = ["Masks", "check", "counts", "sample"]


@dataclass(frozen=True)
class Masks:
    """Patch indices in raster order, ascending, int64. No index is in both rows of a sample."""

    context_BK: Tensor
    target_BM: Tensor


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
    union_BN, free_BN = _first_accepted(u_BRM4, config=config, device=device)
    context, target = counts(config)
    target_BM = choose(key_BN, (~union_BN).long(), target)
    taken_BN = torch.zeros_like(union_BN).scatter_(1, target_BM, True)
    context_BK = choose(key_BN, (~free_BN).long() + 2 * taken_BN, context)
    count = len(range(batch)[rows])
    return Masks(context_BK.expand(count, -1).contiguous(), target_BM.expand(count, -1).contiguous())


def _first_accepted(u_BRM4: np.ndarray, *, config: TrialConfig, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """bool [B, N] twice (union, free) of each sample's first accepted draw, or of the one that lacks least."""
    drawn = rectangles(u_BRM4, masks=config.masks, grid=config.grid)  # on the host: every device rounds alike
    cells_G = torch.arange(config.grid, device=device)
    on_device = (moved(drawn[0], device), drawn[1] and moved(drawn[1], device))
    union_BRN, free_BRN = (region.flatten(2) for region in regions(on_device, cells_G=cells_G))
    context, target = counts(config)
    lacking_BR = (target - union_BRN.sum(2)).clip(min=0) + (context - free_BRN.sum(2)).clip(min=0)
    chosen_B1N = lacking_BR.argmin(1).view(-1, 1, 1).expand(-1, 1, config.grid**2)
    return union_BRN.gather(1, chosen_B1N).squeeze(1), free_BRN.gather(1, chosen_B1N).squeeze(1)


def moved(rectangles: Blocks, device: torch.device | str) -> Blocks:
    """The same rectangles, on the device."""
    return Blocks(*(onto(torch.from_numpy(field.astype(np.int16)), device) for field in rectangles))


def choose(key_BN: Tensor, rank_BN: Tensor, count: int) -> Tensor:
    """`count` indices of each row in ascending order: lowest rank first, uniformly (by key) within a rank."""
    return (key_BN + rank_BN).argsort(dim=1, stable=True)[:, :count].sort(1).values
