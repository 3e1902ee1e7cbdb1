import dataclasses

import pytest
import torch

from iwm_core.config import ConditioningConfig, OptimConfig
from iwm_core.objectives import table as objectives
from iwm_core.training import optim

OPTIM = OptimConfig(weight_decay=0.1, weight_decay_final=0.3)


@pytest.fixture
def model(tiny):
    return objectives.build(dataclasses.replace(tiny, conditioning=ConditioningConfig(kind="sequence")))


def names_of(model, group):
    members = {id(parameter) for parameter in group["params"]}
    return {name for name, parameter in model.named_parameters() if id(parameter) in members}


def test_every_trained_weight_is_in_one_group_and_positions_are_in_none(model):
    decayed, free = (names_of(model, group) for group in optim.build(model, config=OPTIM).param_groups)
    assert not decayed & free
    assert {name for name, _ in model.named_parameters()} - decayed - free == {"encoder.vit.pos_embed"}


def test_only_linear_maps_decay(model):
    decayed, free = (names_of(model, group) for group in optim.build(model, config=OPTIM).param_groups)
    assert all(name.endswith("weight") and "norm" not in name for name in decayed)
    assert {"predictor.mask_token_D", "predictor.conditioning.slope_AD", "predictor.norm.weight"} <= free


def test_a_step_sets_rate_and_decay(model):
    adamw = optim.build(model, config=OPTIM)
    lr = optim.set_step(adamw, config=OPTIM, step=50, total=100)
    decayed, free = adamw.param_groups
    assert decayed["lr"] == free["lr"] == lr < OPTIM.lr
    assert (decayed["weight_decay"], free["weight_decay"]) == (pytest.approx(0.2), 0.0)


@pytest.mark.parametrize(("max_norm", "after"), [(1.0, 1.0), (0.0, 5.0), (10.0, 5.0)])
def test_clip_returns_the_norm_before_and_leaves_at_most_the_limit(max_norm, after):
    layer = torch.nn.Linear(2, 1)
    layer.weight.grad, layer.bias.grad = torch.tensor([[3.0, 0.0]]), torch.tensor([4.0])
    assert optim.clip(layer, max_norm=max_norm).item() == pytest.approx(5.0)
    assert torch.cat([layer.weight.grad[0], layer.bias.grad]).norm().item() == pytest.approx(after, rel=1e-5)
