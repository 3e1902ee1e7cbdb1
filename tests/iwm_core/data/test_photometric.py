from dataclasses import replace

import numpy as np
import pytest
import torch

from iwm_core.config import PhotometricConfig
from iwm_core.data import photometric
from iwm_core.data.photometric import ACTION_DIM, OPERATIONS, UNIFORMS

CONFIG = PhotometricConfig()
JITTERS = ["brightness", "contrast", "saturation", "hue"]
COLUMN = {name: column for column, name in enumerate(OPERATIONS)}


def numbers(batch=4000, seed=0):
    return np.random.default_rng(seed).random((batch, UNIFORMS), dtype=np.float32)


def images(batch=8, size=16):
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_the_table_gives_the_widths():
    assert [name for name, operation in OPERATIONS.items() if operation.jitter] == JITTERS
    assert (len(OPERATIONS), 1 + len(OPERATIONS)) == (ACTION_DIM, UNIFORMS)
    assert photometric.draw(CONFIG, numbers(3), view="source").shape == (3, ACTION_DIM)


def test_the_identity_changes_nothing_and_its_action_is_zero():
    x_BCHW, params_BP = images(), photometric.identity(8)
    for hue in ("hsv", "yiq"):
        config = replace(CONFIG, hue=hue)
        assert torch.equal(photometric.apply(x_BCHW, params_BP, config=config), x_BCHW)
        for factors in ("linear", "log"):
            assert not photometric.action(params_BP, params_BP, config=replace(config, factors=factors)).any()


def test_equal_views_without_destruction_have_a_zero_action():
    params_BP = photometric.draw(CONFIG, numbers(), view="target")
    assert not photometric.action(params_BP, params_BP, config=CONFIG).any()


@pytest.mark.parametrize("factors", ["linear", "log"])
@pytest.mark.parametrize("strength", [0.25, 1.0, 2.0])
def test_jitters_fill_their_range(factors, strength):
    config = replace(CONFIG, factors=factors, strength=strength, jitter_p=1.0)
    params_BP = photometric.draw(config, numbers(), view="target")
    for name, most in (("brightness", 0.4), ("contrast", 0.4), ("saturation", 0.2)):
        high = 1 + most * strength
        low = 1 / high if factors == "log" else 1 - most * strength
        value_B = params_BP[:, COLUMN[name]]
        assert low <= value_B.min() + 1e-6 < low + 0.01
        assert high - 0.01 < value_B.max() - 1e-6 <= high
    hue_B = params_BP[:, COLUMN["hue"]]
    assert 0.099 * strength < hue_B.abs().max() <= 0.1 * strength
    assert abs(hue_B.mean()) < 0.01 * strength


def test_factors_stay_above_zero_and_hue_within_half_a_turn():
    params_BP = photometric.draw(replace(CONFIG, strength=10.0), numbers(), view="target")
    assert params_BP[:, :3].min() >= 0
    assert 0.49 < params_BP[:, 3].abs().max() <= 0.5


def test_one_gate_opens_the_four_jitters_together():
    params_BP = photometric.draw(CONFIG, numbers(), view="source")
    touched_BJ = params_BP[:, :4] != photometric.identity(1)[:, :4]
    assert (touched_BJ.all(1) == touched_BJ.any(1)).all()
    assert touched_BJ.any(1).float().mean() == pytest.approx(0.8, abs=0.03)


def test_destruction_hits_the_source_alone():
    u_BU = numbers()
    source_BP, target_BP = (photometric.draw(CONFIG, u_BU, view=view) for view in ("source", "target"))
    assert torch.equal(source_BP[:, :4], target_BP[:, :4])
    assert not target_BP[:, 4:].any()
    for name, p in (("grayscale", 0.2), ("blur", 0.2), ("solarize", 0.1)):
        assert (source_BP[:, COLUMN[name]] != 0).float().mean() == pytest.approx(p, abs=0.03)


def test_blur_draws_its_deviation_uniformly():
    sigma_B = photometric.draw(CONFIG, numbers(20000), view="source")[:, COLUMN["blur"]]
    drawn = sigma_B[sigma_B != 0]
    assert drawn.min() >= 0.1
    assert drawn.max() <= 2.0
    assert drawn.mean() == pytest.approx(1.05, abs=0.03)
    assert drawn.std() == pytest.approx(1.9 / 12**0.5, abs=0.03)


@pytest.mark.parametrize("field", ["grayscale_p", "blur_p", "solarize_p", "jitter_p"])
def test_probability_zero_and_one(field):
    never, always = (
        photometric.draw(replace(CONFIG, **{field: p}), numbers(), view="source") != photometric.identity(1)
        for p in (0.0, 1.0)
    )
    columns = JITTERS if field == "jitter_p" else [field.removesuffix("_p")]
    for name in columns:
        assert not never[:, COLUMN[name]].any()
        assert always[:, COLUMN[name]].float().mean() > 0.999


def test_apply_is_the_operations_in_order_image_by_image():
    for hue in ("hsv", "yiq"):
        config = replace(CONFIG, hue=hue, grayscale_p=0.5, blur_p=0.5, solarize_p=0.5)
        x_BCHW, params_BP = images(), photometric.draw(config, numbers(8), view="source")
        expected = x_BCHW.clone()
        for b in range(8):
            for column, operation in enumerate(OPERATIONS.values()):
                if params_BP[b, column] != operation.identity:
                    expected[b : b + 1] = operation.apply_(expected[b : b + 1], params_BP[b : b + 1, column], config)
        got = photometric.apply(x_BCHW, params_BP, config=config)
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


def test_apply_leaves_its_argument_alone_and_takes_expanded_images():
    one_1CHW = images(1)
    kept, params_BP = one_1CHW.clone(), photometric.draw(CONFIG, numbers(8), view="source")
    got = photometric.apply(one_1CHW.expand(8, -1, -1, -1), params_BP, config=CONFIG)
    assert torch.equal(one_1CHW, kept)
    torch.testing.assert_close(got, photometric.apply(kept.repeat(8, 1, 1, 1), params_BP, config=CONFIG))


def test_parts_that_fit_the_cache_change_nothing(monkeypatch):
    x_BCHW, params_BP = images(), photometric.draw(CONFIG, numbers(8), view="source")
    whole = photometric.apply(x_BCHW, params_BP, config=CONFIG)
    monkeypatch.setattr(photometric, "CACHED_NUMBERS", 3 * 3 * 16 * 16)
    torch.testing.assert_close(photometric.apply(x_BCHW, params_BP, config=CONFIG), whole, rtol=0, atol=1e-6)


def test_results_stay_between_zero_and_one():
    config = replace(CONFIG, strength=2.0, grayscale_p=0.5, blur_p=0.5, solarize_p=0.5)
    y_BCHW = photometric.apply(images(64), photometric.draw(config, numbers(64), view="source"), config=config)
    assert y_BCHW.min() >= 0
    assert y_BCHW.max() <= 1 + 1e-6  # the weights of a blur sum to 1 within rounding


@pytest.mark.parametrize("factors", ["linear", "log"])
def test_the_action_is_the_difference_over_the_maximum(factors):
    config = replace(CONFIG, factors=factors)
    source_BP, target_BP = photometric.identity(1), photometric.identity(1)
    source_BP[:, :7] = torch.tensor([[0.8, 1.0, 1.1, -0.05, 1.0, 1.3, 0.0]])
    target_BP[:, :4] = torch.tensor([[1.2, 1.4, 0.9, 0.05]])
    scale = np.log if factors == "log" else np.asarray
    jitter = [(scale(t) - scale(s)) / m for s, t, m in ((0.8, 1.2, 0.4), (1.0, 1.4, 0.4), (1.1, 0.9, 0.2))]
    expected = torch.tensor([[*map(float, jitter), 1.0, 1.0, 1.0, 0.0]])
    a_BA = photometric.action(source_BP, target_BP, config=config)
    torch.testing.assert_close(a_BA[:, :7], expected)
    assert not a_BA[:, 7:].any()


def test_the_normaliser_does_not_depend_on_the_strength():
    source_BP, target_BP = (photometric.draw(CONFIG, numbers(9, seed), view="target") for seed in (0, 1))
    weak, strong = (
        photometric.action(source_BP, target_BP, config=replace(CONFIG, strength=strength)) for strength in (0.1, 3.0)
    )
    assert torch.equal(weak, strong)


@pytest.mark.parametrize("factors", ["linear", "log"])
def test_maxima_of_zero_give_a_zero_action(factors):
    config = replace(CONFIG, brightness_max=0, contrast_max=0, saturation_max=0, hue_max=0, factors=factors)
    source_BP, target_BP = (photometric.draw(config, numbers(9, seed), view="target") for seed in (0, 1))
    assert torch.equal(target_BP, photometric.identity(9))
    assert not photometric.action(source_BP, target_BP, config=config).any()


@pytest.mark.parametrize(("size", "kernel"), [(8, 1), (32, 3), (64, 7), (96, 9), (224, 23)])
def test_the_blur_spans_a_tenth_of_the_image(size, kernel):
    assert photometric.blur_kernel(CONFIG, size=size) == kernel
    assert photometric.blur_kernel(replace(CONFIG, blur_kernel=5), size=size) == 5
