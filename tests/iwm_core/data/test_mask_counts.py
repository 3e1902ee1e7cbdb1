import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from iwm_core.config import DataConfig, EncoderConfig, MasksConfig, TrialConfig
from iwm_core.data import mask_counts
from iwm_core.data.blocks import blocks, inside, union
from iwm_core.errors import ConfigError


def of(size=32, patch=8, **masks):
    return TrialConfig(
        data=DataConfig(image_size=size), encoder=EncoderConfig(patch_size=patch), masks=MasksConfig(**masks)
    )


def test_counts_are_the_rounded_ratios():
    assert mask_counts.counts(of()) == (7, 7)
    assert mask_counts.counts(of(224, 16, context_ratio=0.5, target_ratio=0.375)) == (98, 74)


@pytest.mark.parametrize("grid", [4, 14])
def test_acceptance_is_the_share_of_unions_of_the_right_size(grid):
    u = np.random.default_rng(7).random((20000, 4, 4), dtype=np.float32)
    size = union(inside(blocks(u, grid=grid, area=(0.15, 0.2), aspect=(0.75, 1.5)), np.arange(grid))).sum((1, 2))
    context, target = mask_counts.counts(of(grid * 8))
    expected = np.mean((size >= target) & (size <= grid**2 - context))
    assert mask_counts.acceptance(MasksConfig(), grid=grid) == pytest.approx(expected, abs=0.03)


def test_the_defaults_are_accepted_half_of_the_time():
    mask_counts.check(of())
    assert 0.45 < mask_counts.acceptance(MasksConfig(), grid=4) < 0.6


def test_enough_tries_for_one_failure_in_a_million():
    rejected = 1 - mask_counts.acceptance(MasksConfig(), grid=4)
    assert rejected ** mask_counts.tries(of()) < 1e-6 <= rejected ** (mask_counts.tries(of()) - 1)


def test_masks_that_always_fit_are_drawn_once():
    assert mask_counts.tries(of(112, context_ratio=0.05, target_ratio=0.05)) == 1


def test_multiblock_asks_for_context_inside_its_large_block():
    multiblock = MasksConfig(kind="multiblock", context_area_min=0.3, context_area_max=0.3, context_ratio=0.3)
    assert mask_counts.acceptance(multiblock, grid=14) < 0.01
    assert mask_counts.acceptance(replace(multiblock, kind="union"), grid=14) > 0.5


@pytest.mark.parametrize(
    ("config", "setting"),
    [
        (of(30), "data.image_size"),
        (of(patch=64), "data.image_size"),
        (of(context_ratio=0.01), "masks.context_ratio"),
        (of(context_ratio=0.6, target_ratio=0.6), "masks.context_ratio"),
        (of(224, 16, context_ratio=0.56, target_ratio=0.44), "masks.context_ratio"),
        (of(blocks=0), "masks.blocks"),
        (of(area_min=0.3), "masks.area_max"),
    ],
)
def test_impossible_masks_are_refused(config, setting):
    with pytest.raises(ConfigError) as caught:
        mask_counts.check(config)
    assert caught.value.setting == setting


def test_the_same_masks_are_simulated_once():
    mask_counts.check(of())
    before = mask_counts.acceptance.cache_info()
    mask_counts.check(replace(of(), seed=5))
    after = mask_counts.acceptance.cache_info()
    assert (after.misses, after.hits) == (before.misses, before.hits + 1)


def test_torch_is_not_imported():
    code = "import sys; import iwm_core.data.mask_counts; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
