import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from iwm_core.data.blocks import blocks, inside, union

SHAPE = {"area": (0.15, 0.2), "aspect": (0.75, 1.5)}
ALMOST_ONE = np.float32(1 - 2**-24)  # the largest number that randomness.uniform gives

numbers = st.integers(0, 2**24 - 1).map(lambda k: np.float32(k / 2**24))


@given(u=st.tuples(numbers, numbers, numbers, numbers), grid=st.integers(1, 64))
def test_a_block_lies_on_the_grid(u, grid):
    height, width, top, left = blocks(np.array(u), grid=grid, area=(0.01, 1.0), aspect=(0.3, 3.0))
    assert 1 <= height <= grid
    assert 1 <= width <= grid
    assert 0 <= top <= grid - height
    assert 0 <= left <= grid - width


def test_area_and_aspect_follow_the_formula():
    height, width, top, left = blocks(np.array([0.5, 0.5, 0.0, 0.999]), grid=100, **SHAPE)
    aspect = math.sqrt(0.75 * 1.5)
    assert height == round(math.sqrt(1750 * aspect))
    assert width == round(math.sqrt(1750 / aspect))
    assert (top, left) == (0, 100 - width)


@pytest.mark.parametrize("grid", [4, 7, 14, 16, 37])
def test_the_last_row_and_column_can_be_reached(grid):
    height, width, top, left = blocks(np.full(4, ALMOST_ONE), grid=grid, **SHAPE)
    assert (top + height, left + width) == (grid, grid)


def test_numpy_and_torch_agree():
    u = np.random.default_rng(0).random((50, 3, 4), dtype=np.float32)
    by_numpy = union(inside(blocks(u, grid=14, **SHAPE), np.arange(14)))
    by_torch = union(inside(blocks(torch.from_numpy(u), grid=14, **SHAPE), torch.arange(14)))
    assert by_numpy.shape == (50, 14, 14)
    np.testing.assert_array_equal(by_numpy, by_torch.numpy())


def test_inside_marks_rows_first():
    covered = inside(
        blocks(np.array([0.0, 0.999, 0.999, 0.0]), grid=6, area=(0.22, 0.3), aspect=(0.5, 2.0)), np.arange(6)
    )
    np.testing.assert_array_equal(
        np.argwhere(covered), [[2, 0], [2, 1], [3, 0], [3, 1], [4, 0], [4, 1], [5, 0], [5, 1]]
    )
