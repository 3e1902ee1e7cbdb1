from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from iwm_core.config import DataConfig, EncoderConfig, MasksConfig, TrialConfig
from iwm_core.data import mask_counts, masks
from iwm_core.errors import ConfigError


def of(grid=4, **settings):
    return TrialConfig(
        data=DataConfig(image_size=grid * 8), encoder=EncoderConfig(patch_size=8), masks=MasksConfig(**settings)
    )


def members(index_BK, patches):
    return torch.zeros(len(index_BK), patches, dtype=torch.bool).scatter_(1, index_BK, True)


def assert_valid(config, drawn, batch):
    context, target = mask_counts.counts(config)
    assert drawn.context_BK.shape == (batch, context)
    assert drawn.target_BM.shape == (batch, target)
    for index in (drawn.context_BK, drawn.target_BM):
        assert index.dtype == torch.int64
        assert (index.diff(dim=1) > 0).all()  # ascending, so no index twice
        assert index.min() >= 0
        assert index.max() < config.grid**2
    both = members(drawn.context_BK, config.grid**2) & members(drawn.target_BM, config.grid**2)
    assert not both.any()


@settings(max_examples=40, deadline=None)
@given(
    grid=st.integers(2, 16),
    kind=st.sampled_from(["union", "multiblock"]),
    context=st.floats(0.05, 0.6),
    target=st.floats(0.05, 0.5),
    step=st.integers(0, 2**31),
)
def test_counts_hold_and_context_and_target_never_overlap(grid, kind, context, target, step):
    config = of(grid, kind=kind, context_ratio=context, target_ratio=target)
    try:
        mask_counts.check(config)
    except ConfigError:
        return
    assert_valid(config, masks.sample(config, step, batch=8, device="cpu"), 8)


@pytest.mark.parametrize("kind", ["union", "multiblock"])
@pytest.mark.parametrize("grid", [4, 14])
def test_every_patch_is_reached_as_context_and_as_target(grid, kind):
    drawn = masks.sample(of(grid, kind=kind), 0, batch=600, device="cpu")
    for index in (drawn.context_BK, drawn.target_BM):
        share_N = members(index, grid**2).float().mean(0)
        assert share_N.min() > 0.02


@pytest.mark.parametrize("kind", ["union", "multiblock"])
def test_counts_hold_where_no_draw_fits(kind):
    small, large = {"area_min": 0.02, "area_max": 0.03}, {"area_min": 0.95, "area_max": 1.0}
    for area in (small, large):
        config = of(6, kind=kind, context_ratio=0.5, target_ratio=0.5, **area)
        assert mask_counts.acceptance(config.masks, grid=6) == 0
        assert_valid(config, masks.sample(config, 0, batch=32, device="cpu"), 32)


def test_targets_lie_in_rectangles_and_context_outside_them():
    config = of(14, blocks=1, area_min=0.2, area_max=0.2, aspect_min=1, aspect_max=1, target_ratio=36 / 196)
    drawn = masks.sample(config, 0, batch=16, device="cpu")
    target_BHW = members(drawn.target_BM, 196).view(-1, 14, 14)
    rows, columns = target_BHW.any(2).sum(1), target_BHW.any(1).sum(1)
    assert (rows == 6).all()  # a square of 6 x 6, wholly taken
    assert (columns == 6).all()


def test_context_of_multiblock_stays_inside_its_large_block():
    config = of(14, kind="multiblock", context_area_min=0.5, context_area_max=0.5, context_ratio=0.2, target_ratio=0.2)
    context_BHW = members(masks.sample(config, 0, batch=64, device="cpu").context_BK, 196).view(-1, 14, 14)
    rows = torch.arange(14).expand(64, -1)
    inside = context_BHW.any(2)
    reach = rows.masked_fill(~inside, 0).amax(1) - rows.masked_fill(~inside, 13).amin(1) + 1
    assert reach.max() <= 10  # round sqrt(98)


def test_masks_are_a_function_of_seed_and_step():
    config = of()
    first, again = (masks.sample(config, 3, batch=8, device="cpu") for _ in range(2))
    torch.testing.assert_close(first.context_BK, again.context_BK, rtol=0, atol=0)
    torch.testing.assert_close(first.target_BM, again.target_BM, rtol=0, atol=0)
    for other in (
        masks.sample(config, 4, batch=8, device="cpu"),
        masks.sample(replace(config, seed=1), 3, batch=8, device="cpu"),
    ):
        assert not torch.equal(first.target_BM, other.target_BM)


def test_one_mask_per_step_is_shared_by_the_batch():
    drawn = masks.sample(of(per="step"), 0, batch=5, device="cpu")
    assert_valid(of(), drawn, 5)
    assert (drawn.context_BK == drawn.context_BK[0]).all()
    assert (drawn.target_BM == drawn.target_BM[0]).all()


def test_samples_differ_otherwise():
    drawn = masks.sample(of(), 0, batch=5, device="cpu")
    assert len({tuple(row) for row in drawn.target_BM.tolist()}) > 1


IJEPA = MasksConfig(kind="multiblock", sequences="blocks", context_ratio=0.25, target_ratio=0.14)


def in_blocks(grid=14, masks=IJEPA):
    return TrialConfig(data=DataConfig(image_size=grid * 8), encoder=EncoderConfig(patch_size=8), masks=masks)


def drawn_sequences(config, step=0, batch=16, rows=slice(None)):
    return masks.sequences(config, step, batch=batch, device="cpu", rows=rows)


@pytest.mark.parametrize("grid", [4, 14])
@pytest.mark.parametrize("kind", ["union", "multiblock"])
def test_counts_hold_and_no_target_is_context(grid, kind):
    config = in_blocks(grid, replace(IJEPA, kind=kind))
    found, (context, target) = drawn_sequences(config), mask_counts.counts(config)
    assert found.context_BK.shape == (16, context)
    assert found.target_BSM.shape == (16, 4, target)
    for index in (found.context_BK, found.target_BSM):
        assert (index.diff(dim=-1) > 0).all()
    targets = members(found.target_BSM.flatten(1), grid**2)
    assert not (targets & members(found.context_BK, grid**2)).any()


def test_each_target_lies_in_a_rectangle_of_the_block_s_size():
    found = drawn_sequences(in_blocks(), batch=256).target_BSM.flatten(0, 1)
    rows, columns = found // 14, found % 14
    height, width = rows.amax(1) - rows.amin(1) + 1, columns.amax(1) - columns.amin(1) + 1
    assert (height * width <= 0.2 * 196 + 5).all()  # rounded sides
    assert rows.max() == columns.max() == 13  # the bounds are inclusive


def test_counts_of_sequences_hold_where_no_draw_fits():
    config = in_blocks(6, replace(IJEPA, area_min=0.02, area_max=0.03))
    assert mask_counts.acceptance(config.masks, grid=6) == 0
    found = drawn_sequences(config)
    assert (found.context_BK.shape, found.target_BSM.shape) == ((16, 9), (16, 4, 5))
    assert not (members(found.target_BSM.flatten(1), 36) & members(found.context_BK, 36)).any()


def test_a_sample_s_masks_do_not_depend_on_the_other_rows():
    for config in (in_blocks(), in_blocks(masks=replace(IJEPA, official_quirks=True)), in_blocks(masks=MasksConfig())):
        whole, part = drawn_sequences(config), drawn_sequences(config, rows=slice(5, 9))
        assert torch.equal(whole.context_BK[5:9], part.context_BK)
        assert torch.equal(whole.target_BSM[5:9], part.target_BSM)


@pytest.mark.parametrize("quirks", [False, True])
def test_one_draw_of_sequences_per_step_is_shared_by_the_batch(quirks):
    found = drawn_sequences(in_blocks(masks=replace(IJEPA, per="step", official_quirks=quirks)), batch=5)
    assert len(found.target_BSM) == 5
    assert (found.context_BK == found.context_BK[0]).all()
    assert (found.target_BSM == found.target_BSM[0]).all()


def test_apart_pairs_every_sequence_with_its_sample_s_context():
    found = drawn_sequences(in_blocks(), batch=3)
    apart = found.apart()
    assert torch.equal(apart.context_BK[4], found.context_BK[1])
    assert torch.equal(apart.target_BM[4 + 2], found.target_BSM[1, 2])
