"""Every operation against torchvision's, image by image."""

import pytest
import torch
from torchvision.transforms.v2 import functional as one

from iwm_core.data import pixels

B = 6


@pytest.fixture
def x_BCHW():
    """Random colours, a flat image, a grey one, primaries, black and white."""
    x = torch.rand(B, 3, 12, 9, generator=torch.Generator().manual_seed(0))
    x[1] = torch.tensor([0.2, 0.4, 0.9]).view(3, 1, 1)
    x[2] = x[2, :1]
    x[3] = (x[3] > 0.5).float()
    x[4], x[5, :, :6] = 0, 1
    return x


def assert_equals_loop(got_BCHW, x_BCHW, value_B, operation, atol=2e-6):
    expected = torch.stack([operation(x, value) for x, value in zip(x_BCHW, value_B.tolist(), strict=True)])
    torch.testing.assert_close(got_BCHW, expected, rtol=0, atol=atol)


FACTORS = torch.tensor([0.0, 0.3, 0.9, 1.0, 1.4, 2.5])


@pytest.mark.parametrize("shift", range(B))
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_factors_are_torchvisions(x_BCHW, name, shift):
    factor_B = FACTORS.roll(shift)
    got = getattr(pixels, f"{name}_")(x_BCHW.clone(), factor_B)
    assert_equals_loop(got, x_BCHW, factor_B, getattr(one, f"adjust_{name}"))


@pytest.mark.parametrize("shift", range(B))
def test_hsv_hue_is_torchvisions(x_BCHW, shift):
    turns_B = torch.tensor([-0.5, -0.21, 0.0, 0.05, 0.3, 0.5]).roll(shift)
    assert_equals_loop(pixels.hue_hsv_(x_BCHW.clone(), turns_B), x_BCHW, turns_B, one.adjust_hue, atol=5e-6)


def test_grayscale_is_torchvisions(x_BCHW):
    expected = one.rgb_to_grayscale(x_BCHW, num_output_channels=3)
    torch.testing.assert_close(pixels.grayscale_(x_BCHW.clone()), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kernel", [3, 5, 9])
def test_blur_is_torchvisions(x_BCHW, kernel):
    sigma_B = torch.tensor([0.1, 0.5, 1.0, 1.5, 2.0, 3.0])
    got = pixels.blur_(x_BCHW.clone(), sigma_B, kernel=kernel)
    assert_equals_loop(got, x_BCHW, sigma_B, lambda x, sigma: one.gaussian_blur(x, [kernel, kernel], [sigma, sigma]))


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_solarize_is_torchvisions(x_BCHW, threshold):
    got = pixels.solarize_(x_BCHW.clone(), threshold=threshold)
    torch.testing.assert_close(got, one.solarize(x_BCHW, threshold), rtol=0, atol=0)


def test_yiq_hue_turns_chroma_and_keeps_luma():
    x_BCHW = 0.5 + 0.05 * torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))  # far from the clamp
    turned = pixels.hue_yiq_(x_BCHW.clone(), torch.tensor([0.1, 0.5]))
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    torch.testing.assert_close((turned * luma).sum(1), (x_BCHW * luma).sum(1), rtol=0, atol=1e-5)
    back = pixels.hue_yiq_(turned, torch.tensor([-0.1, 0.5]))
    torch.testing.assert_close(back, x_BCHW, rtol=0, atol=1e-5)


@pytest.mark.parametrize("turns", [-0.1, 0.1])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_yiq_hue_turns_the_way_hsv_does(turns, channel):
    primary = torch.full((1, 3, 1, 1), 0.4)
    primary[:, channel] = 0.6
    by_hsv = pixels.hue_hsv_(primary.clone(), torch.tensor([turns]))
    along, against = (pixels.hue_yiq_(primary.clone(), torch.tensor([sign * turns])) for sign in (1, -1))
    assert (along - by_hsv).norm() < (against - by_hsv).norm()


def test_no_turn_is_exactly_the_identity(x_BCHW):
    torch.testing.assert_close(pixels.yiq_rotation(torch.zeros(1))[0], torch.eye(3), rtol=0, atol=0)
    torch.testing.assert_close(pixels.hue_yiq_(x_BCHW.clone(), torch.zeros(B)), x_BCHW, rtol=0, atol=0)


def test_only_the_chosen_rows_change(x_BCHW):
    value_B = torch.tensor([0.0, 2, 0, 3, 0, 0])
    got = pixels.on_rows_(x_BCHW.clone(), value_B, lambda x, value: x.add_(value.view(-1, 1, 1, 1)))
    torch.testing.assert_close(got, x_BCHW + value_B.view(-1, 1, 1, 1), rtol=0, atol=0)
