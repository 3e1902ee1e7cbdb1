import math

import pytest
import torch
from torch import nn

from iwm_core.models.initialisation import ZeroLinear, xavier


@pytest.mark.parametrize(
    ("module", "fan_in", "fan_out"), [(nn.Linear(300, 100), 300, 100), (nn.Conv2d(3, 64, 8), 192, 64)]
)
def test_weights_fill_the_bound_of_the_linear_map_and_biases_are_zero(module, fan_in, fan_out):
    xavier(module)
    bound = math.sqrt(6 / (fan_in + fan_out))
    assert 0.99 * bound < module.weight.abs().max() <= bound
    assert not torch.any(module.bias)


def test_norms_are_left_alone():
    norm = nn.LayerNorm(4)
    xavier(norm)
    assert torch.all(norm.weight == 1)


def test_what_starts_at_zero_stays_there_and_draws_nothing():
    before = torch.get_rng_state()
    module = ZeroLinear(4, 4)
    xavier(module)
    assert not any(parameter.any() for parameter in module.parameters())
    assert torch.equal(torch.get_rng_state(), before)
