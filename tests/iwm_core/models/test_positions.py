import numpy as np
import pytest
import torch

from iwm_core.errors import ConfigError
from iwm_core.models.positions import sine_cosine


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
    with pytest.raises(ConfigError, match="multiple of 4, not 10"):
        sine_cosine(10, rows=2, columns=2)
