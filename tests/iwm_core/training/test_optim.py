import dataclasses

import pytest
import torch

from iwm_core.config import ConditioningConfig, OptimConfig
from iwm_core.objectives import table as objectives
from iwm_core.training import optim
from iwm_core.training.optim import ema_at, lr_at, weight_decay_at

OPTIM = OptimConfig(weight_decay=0.1, weight_decay_final=0.3)
SCHEDULE = OptimConfig(
    lr=2.0,
    lr_start_ratio=0.5,
    lr_final_ratio=0.1,
    warmup_ratio=0.2,
    weight_decay=0.4,
    weight_decay_final=0.8,
    ema=0.9,
    ema_final=1.0,
)


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


@pytest.mark.parametrize(("step", "lr"), [(0, 1.0), (10, 1.5), (20, 2.0), (60, 1.1), (100, 0.2)])
def test_rate_warms_up_linearly_and_falls_as_a_cosine(step, lr):
    assert lr_at(SCHEDULE, step=step, total=100) == pytest.approx(lr)


def test_rate_without_warm_up_starts_at_the_peak():
    assert lr_at(OptimConfig(lr=2.0, warmup_ratio=0.0), step=0, total=100) == 2.0


def test_rate_never_falls_in_the_warm_up_and_never_rises_after_it():
    rates = [lr_at(SCHEDULE, step=step, total=50) for step in range(51)]
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize(("step", "decay"), [(0, 0.4), (25, 0.45857864), (50, 0.6), (100, 0.8)])
def test_weight_decay_is_a_cosine_over_all_steps(step, decay):
    assert weight_decay_at(SCHEDULE, step=step, total=100) == pytest.approx(decay)


@pytest.mark.parametrize(("step", "ema"), [(0, 0.9), (50, 0.95), (100, 1.0)])
def test_momentum_is_linear(step, ema):
    assert ema_at(SCHEDULE, step=step, total=100) == pytest.approx(ema)


def test_a_trial_may_be_nothing_but_warm_up():
    assert lr_at(OptimConfig(lr=1.0, warmup_ratio=1.0), step=9, total=10) < 1.0
