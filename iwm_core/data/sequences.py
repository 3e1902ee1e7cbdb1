r"""Masks with one target sequence per block, each to be predicted on its own.

    target_s = K_target patches of block s         uniformly, without replacement; s = 1 .. S, blocks may overlap
    context  = K_context patches of I-JEPA's large block minus all S blocks, or of their complement (`union`)

Source: I-JEPA predicts its four blocks in four passes over one context [C1]. Deviation, as in masks.py: counts are
fixed by the configuration (`masks.target_ratio` is the share of each block), R draws are made at once and the first
that leaves room for every count is taken; where none does, what lacks is filled up from the patches outside. With
`masks.official_quirks` the indices are those of official_masks.py.

Shapes: B samples, R draws, S sequences, G side of the grid, N patches, K context patches, M targets of a sequence.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from iwm_core.config import TrialConfig
from iwm_core.data import masks as masking
from iwm_core.data import official_masks
from iwm_core.data.blocks import inside
from iwm_core.data.mask_counts import counts, numbers, rectangles, regions, tries
from iwm_core.data.masks import Masks, choose, moved
from iwm_core.randomness import uniform
from iwm_core.tensors import onto


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
) -> Sequences:
    """The masks of `rows` of the `batch` samples at `step`; with `masks.sequences=union` there is one sequence."""
    if config.masks.official_quirks:
        found = official_masks.draw(config, step, batch=batch)
        context_BK, target_BSM = (torch.from_numpy(index[rows].copy()) for index in found)
        return Sequences(onto(context_BK, device), onto(target_BSM, device))
    if config.masks.sequences == "union":
        one = masking.sample(config, step, batch=batch, device=device, rows=rows)
        return Sequences(one.context_BK, one.target_BM[:, None])
    return _sample(config, step, batch=batch, device=device, rows=rows)


def _sample(config: TrialConfig, step: int, *, batch: int, device: torch.device | str, rows: slice) -> Sequences:
    drawn = 1 if config.masks.per == "step" else batch
    blocks, N, per_draw = config.masks.blocks, config.grid**2, numbers(config.masks) * 4
    u_XB = uniform(config.seed, "masks", step, ((1 + blocks) * N + tries(config) * per_draw, drawn))
    if drawn > 1:
        u_XB = u_XB[:, rows]
    u_BRM4 = u_XB[(1 + blocks) * N :].T.reshape(u_XB.shape[1], -1, numbers(config.masks), 4)
    key_BX = onto(torch.from_numpy(np.ascontiguousarray(u_XB[: (1 + blocks) * N].T)), device)
    key_BSN = key_BX.unflatten(1, (1 + blocks, N))
    block_BSN, free_BN = _first_accepted(u_BRM4, config=config, device=device)
    context, target = counts(config)
    target_BSM = choose(key_BSN[:, 1:].flatten(0, 1), (~block_BSN).long().flatten(0, 1), target)
    target_BSM = target_BSM.unflatten(0, (-1, blocks))
    taken_BN = torch.zeros_like(free_BN).scatter_(1, target_BSM.flatten(1), True)
    context_BK = choose(key_BSN[:, 0], (~free_BN).long() + 2 * taken_BN, context)
    count = len(range(batch)[rows])
    return Sequences(context_BK.expand(count, -1).contiguous(), target_BSM.expand(count, -1, -1).contiguous())


def _first_accepted(u_BRM4: np.ndarray, *, config: TrialConfig, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """bool [B, S, N] (each block) and [B, N] (free) of each sample's first accepted draw, or the least lacking one."""
    drawn = rectangles(u_BRM4, masks=config.masks, grid=config.grid)  # on the host: every device rounds alike
    cells_G = torch.arange(config.grid, device=device)
    on_device = (moved(drawn[0], device), drawn[1] and moved(drawn[1], device))
    block_BRSN = inside(on_device[0], cells_G).flatten(3)
    free_BRN = regions(on_device, cells_G=cells_G)[1].flatten(2)
    context, target = counts(config)
    lacking_BR = (target - block_BRSN.sum(3)).clip(min=0).sum(2) + (context - free_BRN.sum(2)).clip(min=0)
    chosen_B = lacking_BR.argmin(1)
    rows_B = torch.arange(len(chosen_B), device=chosen_B.device)
    return block_BRSN[rows_B, chosen_B], free_BRN[rows_B, chosen_B]
