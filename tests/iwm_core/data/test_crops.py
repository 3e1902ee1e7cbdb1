import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iwm_core.config import DataConfig
from iwm_core.data.crops import Crops, centre_box, crop_boxes, draw_crops

CONFIG = DataConfig()


@settings(deadline=None)
@given(height=st.integers(1, 600), width=st.integers(1, 600), step=st.integers(0, 10**6))
def test_a_crop_lies_inside_its_image(height, width, step):
    top, left, h, w = crop_boxes(draw_crops(CONFIG, seed=0, step=step, batch=16), height=height, width=width).T
    assert (np.minimum(h, w) >= 1).all()
    assert (np.minimum(top, left) >= 0).all()
    assert (top + h <= height).all()
    assert (left + w <= width).all()


def test_areas_and_aspects_fill_their_ranges():
    _, _, h, w = crop_boxes(draw_crops(CONFIG, seed=0, step=0, batch=4000), height=1000, width=1000).T
    area, aspect = h * w / 1e6, w / h
    assert 0.299 < area.min() < 0.31
    assert 0.98 < area.max() <= 1
    assert 0.74 < aspect.min() < 0.76
    assert 1.32 < aspect.max() < 1.34
    assert np.mean(aspect > 1) == pytest.approx(0.5, abs=0.03)


def test_corners_reach_every_border():
    top, left, h, w = crop_boxes(draw_crops(CONFIG, seed=0, step=0, batch=4000), height=40, width=40).T
    assert (top.min(), left.min(), (top + h).max(), (left + w).max()) == (0, 0, 40, 40)
    assert np.mean(top + h == 40) == pytest.approx(np.mean(top == 0), abs=0.03)


@pytest.mark.parametrize(("height", "width", "expected"), [(100, 10, [43, 0, 13, 10]), (10, 100, [0, 43, 10, 13])])
def test_an_image_that_no_draw_fits_is_cut_to_the_nearest_aspect(height, width, expected):
    crops = Crops(
        area_BT=np.ones((1, 10)),
        aspect_BT=np.ones((1, 10)),
        corner_B2=np.zeros((1, 2)),
        flip_B=np.array([False]),
        aspect_bounds=(0.75, 4 / 3),
    )
    np.testing.assert_array_equal(crop_boxes(crops, height=height, width=width), [expected])


def test_the_first_draw_that_fits_is_taken():
    crops = Crops(
        area_BT=np.array([[1.0, 0.25, 0.5]]),
        aspect_BT=np.array([[4.0, 1.0, 1.0]]),
        corner_B2=np.array([[0.0, 0.999]]),
        flip_B=np.array([False]),
        aspect_bounds=(0.75, 4 / 3),
    )
    np.testing.assert_array_equal(crop_boxes(crops, height=20, width=20), [[0, 10, 10, 10]])


def test_a_row_is_the_crop_of_its_sample():
    crops = draw_crops(CONFIG, seed=0, step=3, batch=8)
    whole = crop_boxes(crops, height=50, width=70)
    for sample in range(8):
        np.testing.assert_array_equal(crop_boxes(crops.row(sample), height=50, width=70), whole[sample : sample + 1])
        assert crops.row(sample).flip_B[0] == crops.flip_B[sample]


def test_half_of_the_samples_are_flipped():
    assert draw_crops(CONFIG, seed=0, step=0, batch=4000).flip_B.mean() == pytest.approx(0.5, abs=0.03)


def test_the_centre_is_imagenets():
    np.testing.assert_array_equal(centre_box(height=256, width=256), [[16, 16, 224, 224]])
    np.testing.assert_array_equal(centre_box(height=1, width=9), [[0, 4, 1, 1]])
