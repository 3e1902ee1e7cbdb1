import pytest

from iwm_core.config import OptimConfig
from iwm_core.training.schedules import ema_at, lr_at, weight_decay_at

OPTIM = OptimConfig(
    lr=2.0,
    lr_start_ratio=0.5,
    lr_final_ratio=0.1,
    warmup_ratio=0.2,
    weight_decay=0.4,
    weight_decay_final=0.8,
    ema=0.9,
    ema_final=1.0,
)


@pytest.mark.parametrize(("step", "lr"), [(0, 1.0), (10, 1.5), (20, 2.0), (60, 1.1), (100, 0.2)])
def test_rate_warms_up_linearly_and_falls_as_a_cosine(step, lr):
    assert lr_at(OPTIM, step=step, total=100) == pytest.approx(lr)


def test_rate_without_warm_up_starts_at_the_peak():
    assert lr_at(OptimConfig(lr=2.0, warmup_ratio=0.0), step=0, total=100) == 2.0


def test_rate_never_falls_in_the_warm_up_and_never_rises_after_it():
    rates = [lr_at(OPTIM, step=step, total=50) for step in range(51)]
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize(("step", "decay"), [(0, 0.4), (25, 0.45857864), (50, 0.6), (100, 0.8)])
def test_weight_decay_is_a_cosine_over_all_steps(step, decay):
    assert weight_decay_at(OPTIM, step=step, total=100) == pytest.approx(decay)


@pytest.mark.parametrize(("step", "ema"), [(0, 0.9), (50, 0.95), (100, 1.0)])
def test_momentum_is_linear(step, ema):
    assert ema_at(OPTIM, step=step, total=100) == pytest.approx(ema)


def test_a_trial_may_be_nothing_but_warm_up():
    assert lr_at(OptimConfig(lr=1.0, warmup_ratio=1.0), step=9, total=10) < 1.0
