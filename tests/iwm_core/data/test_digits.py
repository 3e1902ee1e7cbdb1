import numpy as np
import pytest

from iwm_core.data.digits import BACKGROUND_LUMA, COPIES, DIGIT_LUMA, LUMA, digits_on_photos
from iwm_core.errors import ConfigError


@pytest.fixture(scope="module")
def test_split():
    return digits_on_photos(split="test", size=40)


def test_shapes_and_labels(test_split):
    canvas, label, mask, *_ = test_split
    assert canvas.shape == (COPIES * 359, 3, 40, 40)
    assert (canvas.dtype, label.dtype, mask.dtype) == (np.uint8, np.int64, bool)
    assert mask.shape == (COPIES * 359, 40, 40)
    assert np.bincount(label).min() > 30 * COPIES
    assert len(np.bincount(label)) == 10


def test_backgrounds_are_dark_and_digits_bright(test_split):
    canvas, _, mask, *_ = test_split
    luma = (LUMA * canvas).sum(1)
    border = np.ones((40, 40), dtype=bool)
    border[4:36, 4:36] = False  # the digit fills the middle four fifths
    assert not mask[:, border].any()
    assert luma[:, border].max() <= BACKGROUND_LUMA
    assert luma.max() <= DIGIT_LUMA
    assert luma[mask].mean() > 1.5 * BACKGROUND_LUMA


def test_digits_have_the_opposite_chroma_of_their_background(test_split):
    canvas, _, mask, *_ = test_split
    chroma = canvas - (LUMA * canvas).sum(1, keepdims=True)
    inside = [chroma[n][:, mask[n]].mean(1) for n in range(200)]
    outside = [chroma[n][:, ~mask[n]].mean(1) for n in range(200)]
    assert np.mean([np.dot(a, b) < 0 for a, b in zip(inside, outside, strict=True)]) > 0.9


def test_the_same_arrays_at_every_call(test_split):
    for first, again in zip(test_split, digits_on_photos(split="test", size=40), strict=True):
        np.testing.assert_array_equal(first, again)


def test_the_splits_share_no_digit_and_no_background(test_split):
    canvas, label, mask, *_ = digits_on_photos(split="train", size=40)
    assert len(label) == COPIES * 1438
    assert not {m.tobytes() for m in mask} & {m.tobytes() for m in test_split[2]}
    corners = [{image[:, :4].tobytes() for image in images} for images in (canvas, test_split[0])]
    assert not corners[0] & corners[1]


@pytest.mark.parametrize("size", [9, 81])
def test_canvases_that_cannot_be_cut_are_refused(size):
    with pytest.raises(ConfigError) as caught:
        digits_on_photos(split="train", size=size)
    assert (caught.value.setting, caught.value.value) == ("data.stored_size", size)
