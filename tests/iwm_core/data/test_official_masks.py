import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from iwm_core.config import DataConfig, EncoderConfig, MasksConfig, TrialConfig
from iwm_core.data import mask_counts, official_masks
from iwm_core.errors import ConfigError

MASKS = MasksConfig(kind="multiblock", sequences="blocks", official_quirks=True)


def of(grid=14, masks=MASKS, seed=0):
    data, encoder = DataConfig(image_size=grid * 8), EncoderConfig(patch_size=8)
    return TrialConfig(seed=seed, data=data, encoder=encoder, masks=masks)


def sides(index_XM, grid=14):
    rows, columns = index_XM // grid, index_XM % grid
    return np.ptp(rows, axis=-1) + 1, np.ptp(columns, axis=-1) + 1


def test_all_target_blocks_of_a_step_are_whole_and_of_one_size():
    for step in range(20):
        target_BSM = official_masks.draw(of(), step, batch=32).target_BSM
        heights, widths = sides(target_BSM)
        assert len(np.unique(heights)) == len(np.unique(widths)) == 1
        assert heights.flat[0] * widths.flat[0] == target_BSM.shape[-1]


def test_one_number_sets_scale_and_aspect():
    for u in np.linspace(0, 0.999, 50):
        target, _ = official_masks.sizes(MASKS, grid=14, u_2=np.array([u, 0.5]))
        patches, ratio = math.floor(196 * (0.15 + 0.05 * u)), 0.75 + 0.75 * u
        assert target == (round(math.sqrt(patches * ratio)), round(math.sqrt(patches / ratio)))


def test_the_last_row_and_column_are_in_no_mask():
    for step in range(20):
        for index in official_masks.draw(of(), step, batch=32):
            assert (index // 14).max() < 13
            assert (index % 14).max() < 13


def test_the_context_is_cut_to_the_batch_s_least_in_raster_order():
    config = of()
    alone, many = (official_masks.draw(config, 0, batch=batch).context_BK for batch in (1, 64))
    K = many.shape[1]
    assert alone.shape[1] > K
    assert np.array_equal(many[0], alone[0, :K])
    counts = [official_masks.draw(config, step, batch=64).context_BK.shape[1] for step in range(8)]
    assert len(set(counts)) > 1


def test_no_target_is_context_and_enough_context_is_left():
    for step in range(8):
        context_BK, target_BSM = official_masks.draw(of(), step, batch=64)
        assert context_BK.shape[1] > official_masks.KEEP
        for b in range(64):
            assert not set(context_BK[b]) & set(target_BSM[b].flat)


def test_masks_are_a_function_of_seed_and_step():
    first, again = (official_masks.draw(of(), 3, batch=8) for _ in range(2))
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert not np.array_equal(official_masks.draw(of(seed=1), 3, batch=1).target_BSM, first.target_BSM[:1])


@pytest.mark.parametrize(
    ("config", "setting"),
    [
        (of(4), "encoder.patch_size"),
        (of(masks=replace(MASKS, sequences="union")), "masks.official_quirks"),
        (of(masks=replace(MASKS, kind="union")), "masks.official_quirks"),
    ],
)
def test_settings_that_it_does_not_cover_are_refused(config, setting):
    with pytest.raises(ConfigError) as caught:
        mask_counts.check(config)
    assert caught.value.setting == setting


def test_torch_is_not_imported():
    code = "import sys; import iwm_core.data.official_masks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
