from dataclasses import replace

import pytest
import torch

from iwm_core.config import DataConfig, EncoderConfig, MasksConfig, TrialConfig
from iwm_core.data import mask_counts, sequences

IJEPA = MasksConfig(kind="multiblock", sequences="blocks", context_ratio=0.25, target_ratio=0.14)


def of(grid=14, masks=IJEPA):
    return TrialConfig(data=DataConfig(image_size=grid * 8), encoder=EncoderConfig(patch_size=8), masks=masks)


def members(index_BK, patches):
    return torch.zeros(len(index_BK), patches, dtype=torch.bool).scatter_(1, index_BK, True)


def drawn(config, step=0, batch=16, rows=slice(None)):
    return sequences.sample(config, step, batch=batch, device="cpu", rows=rows)


@pytest.mark.parametrize("grid", [4, 14])
@pytest.mark.parametrize("kind", ["union", "multiblock"])
def test_counts_hold_and_no_target_is_context(grid, kind):
    config = of(grid, replace(IJEPA, kind=kind))
    found, (context, target) = drawn(config), mask_counts.counts(config)
    assert found.context_BK.shape == (16, context)
    assert found.target_BSM.shape == (16, 4, target)
    for index in (found.context_BK, found.target_BSM):
        assert (index.diff(dim=-1) > 0).all()
    targets = members(found.target_BSM.flatten(1), grid**2)
    assert not (targets & members(found.context_BK, grid**2)).any()


def test_each_target_lies_in_a_rectangle_of_the_block_s_size():
    found = drawn(of(), batch=256).target_BSM.flatten(0, 1)
    rows, columns = found // 14, found % 14
    height, width = rows.amax(1) - rows.amin(1) + 1, columns.amax(1) - columns.amin(1) + 1
    assert (height * width <= 0.2 * 196 + 5).all()  # rounded sides
    assert rows.max() == columns.max() == 13  # the bounds are inclusive


def test_counts_hold_where_no_draw_fits():
    config = of(6, replace(IJEPA, area_min=0.02, area_max=0.03))
    assert mask_counts.acceptance(config.masks, grid=6) == 0
    found = drawn(config)
    assert (found.context_BK.shape, found.target_BSM.shape) == ((16, 9), (16, 4, 5))
    assert not (members(found.target_BSM.flatten(1), 36) & members(found.context_BK, 36)).any()


def test_a_sample_s_masks_do_not_depend_on_the_other_rows():
    for config in (of(), of(masks=replace(IJEPA, official_quirks=True)), of(masks=MasksConfig())):
        whole, part = drawn(config), drawn(config, rows=slice(5, 9))
        assert torch.equal(whole.context_BK[5:9], part.context_BK)
        assert torch.equal(whole.target_BSM[5:9], part.target_BSM)


@pytest.mark.parametrize("quirks", [False, True])
def test_one_mask_per_step_is_shared_by_the_batch(quirks):
    found = drawn(of(masks=replace(IJEPA, per="step", official_quirks=quirks)), batch=5)
    assert len(found.target_BSM) == 5
    assert (found.context_BK == found.context_BK[0]).all()
    assert (found.target_BSM == found.target_BSM[0]).all()


def test_apart_pairs_every_sequence_with_its_sample_s_context():
    found = drawn(of(), batch=3)
    apart = found.apart()
    assert torch.equal(apart.context_BK[4], found.context_BK[1])
    assert torch.equal(apart.target_BM[4 + 2], found.target_BSM[1, 2])
