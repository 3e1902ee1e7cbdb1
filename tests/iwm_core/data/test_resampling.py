import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from iwm_core.data.resampling import resize_crops, weights

BOXES = np.array([[0, 0, 40, 40], [3, 7, 22, 31], [10, 0, 30, 9], [39, 39, 1, 1], [5, 5, 16, 16]])


@pytest.fixture
def image_BCHW():
    return torch.randint(256, (5, 3, 40, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def by_torch(image_BCHW, size, mode):
    cut = [
        image[None, :, top : top + h, left : left + w].double()
        for image, (top, left, h, w) in zip(image_BCHW, BOXES.tolist(), strict=True)
    ]
    resized = [interpolate(crop, (size, size), mode=mode, antialias=True, align_corners=False) for crop in cut]
    return torch.cat(resized).clamp(0, 255)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [7, 16, 32, 64])
def test_it_is_torchs_antialiased_resize_of_the_crop(image_BCHW, size, mode):
    got = resize_crops(image_BCHW, BOXES, size=size, interpolation=mode)
    assert got.dtype == torch.uint8
    difference = (got.double() - by_torch(image_BCHW, size, mode)).abs()
    assert difference.max() <= 0.5 + 1e-4


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_the_weights_of_a_pixel_sum_to_one_and_stay_in_the_crop(mode):
    start_B, length_B = torch.tensor([3, 0]), torch.tensor([20, 40])
    weight_BSH = weights(start_B, length_B, stored=40, size=32, interpolation=mode)
    torch.testing.assert_close(weight_BSH.sum(2), torch.ones(2, 32, dtype=torch.float64))
    assert not weight_BSH[0, :, :3].any()
    assert not weight_BSH[0, :, 23:].any()


def test_the_same_size_is_the_crop_itself(image_BCHW):
    got = resize_crops(image_BCHW, np.array([[4, 6, 16, 16]]), size=16, interpolation="bicubic")
    assert torch.equal(got, image_BCHW[:, :, 4:20, 6:22])


def test_flips_mirror_the_chosen_images(image_BCHW):
    flip_B = np.array([True, False, True, False, False])
    plain = resize_crops(image_BCHW, BOXES, size=32, interpolation="bicubic")
    got = resize_crops(image_BCHW, BOXES, size=32, interpolation="bicubic", flip_B=flip_B)
    expected = torch.where(torch.from_numpy(flip_B).view(-1, 1, 1, 1), plain.flip(3), plain)
    assert torch.equal(got, expected)
    assert got.is_contiguous()


def test_images_need_not_be_square():
    image = torch.randint(256, (2, 3, 20, 50), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    got = resize_crops(image, np.array([[2, 30, 10, 20]]), size=8, interpolation="bilinear")
    crop = image[:, :, 2:12, 30:50].double()
    expected = interpolate(crop, (8, 8), mode="bilinear", antialias=True, align_corners=False)
    assert (got.double() - expected).abs().max() <= 0.5 + 1e-4
