import dataclasses

import numpy as np
import pytest
import torch

from iwm_core.config import EncoderConfig, TrialConfig
from iwm_core.errors import ConfigError
from iwm_core.models.encoder import ViTEncoder, patchify, sine_cosine

CONFIG = TrialConfig(encoder=EncoderConfig(width=32, depth=2, heads=2))


@pytest.fixture(scope="module")
def encoder():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ViTEncoder(CONFIG).eval()


@pytest.fixture(scope="module")
def x_BCHW():
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_with_every_patch_it_is_timms_own_forward(encoder, x_BCHW):
    torch.testing.assert_close(encoder(x_BCHW), encoder.vit(x_BCHW), atol=1e-5, rtol=0)


def test_keeping_every_patch_is_keeping_none_out(encoder, x_BCHW):
    every_BN = torch.arange(16).expand(3, -1)
    torch.testing.assert_close(encoder(x_BCHW, keep_BK=every_BN), encoder(x_BCHW), atol=1e-6, rtol=0)


def test_dropped_patches_are_as_tokens_removed_after_embedding(encoder, x_BCHW):
    keep_BK = torch.tensor([[0, 3, 15], [2, 1, 7], [4, 5, 6]])
    token_BND = encoder.vit.patch_embed(x_BCHW) + encoder.vit.pos_embed
    kept_BKD = torch.stack([token_BND[b, keep_BK[b]] for b in range(3)])
    expected_BKD = encoder.vit.norm(encoder.vit.blocks(kept_BKD))
    torch.testing.assert_close(encoder(x_BCHW, keep_BK=keep_BK), expected_BKD, atol=1e-5, rtol=0)


def test_a_dropped_patch_has_no_influence(encoder, x_BCHW):
    keep_BK = torch.arange(4, 12).expand(3, -1)
    changed_BCHW = x_BCHW.clone()
    changed_BCHW[:, :, :8] = 7.0
    assert torch.equal(encoder(x_BCHW, keep_BK=keep_BK), encoder(changed_BCHW, keep_BK=keep_BK))


def test_patches_come_in_raster_order():
    x_BCHW = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert patchify(x_BCHW, size=2)[0].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]


def test_parameter_names_are_timms_under_one_prefix(encoder):
    assert set(encoder.state_dict()) == {f"vit.{name}" for name in encoder.vit.state_dict()}


def test_positions_are_fixed(encoder):
    fixed = [name for name, parameter in encoder.named_parameters() if not parameter.requires_grad]
    assert fixed == ["vit.pos_embed"]


@pytest.mark.parametrize(("name", "value"), [("patch_size", 7), ("heads", 3)])
def test_sizes_that_do_not_fit_are_refused(name, value):
    config = dataclasses.replace(CONFIG, encoder=dataclasses.replace(CONFIG.encoder, **{name: value}))
    with pytest.raises(ConfigError) as caught:
        ViTEncoder(config)
    assert (caught.value.setting, caught.value.value) == (f"encoder.{name}", value)


def reference(width, rows, columns):
    """MAE's published formula, written out for one patch at a time."""
    omega = 1 / 10000 ** (np.arange(width // 4) / (width / 4))
    table = []
    for row in range(rows):
        for column in range(columns):
            table.append(np.concatenate([f(t * omega) for t in (column, row) for f in (np.sin, np.cos)]))
    return np.stack(table)


def test_agrees_with_the_formula_on_a_grid_that_is_not_square():
    ours = sine_cosine(16, rows=3, columns=5)
    assert ours.dtype == torch.float32
    np.testing.assert_allclose(ours.numpy(), reference(16, 3, 5), atol=1e-6)


def test_no_two_patches_share_a_position():
    assert len(torch.unique(sine_cosine(64, rows=14, columns=14), dim=0)) == 14 * 14


def test_a_width_that_cannot_be_halved_twice_is_refused():
    with pytest.raises(ConfigError) as caught:
        sine_cosine(10, rows=2, columns=2)
    assert caught.value.value == 10
