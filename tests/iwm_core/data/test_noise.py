import dataclasses

import pytest
import torch

from iwm_core.config import PredictorConfig, TrialConfig
from iwm_core.data import noise

CONFIG = TrialConfig(predictor=PredictorConfig(position_noise=0.25))


def drawn(config=CONFIG, step=0, rows=slice(0, 8), targets=7):
    noise_BMD = noise.positions(config, step, targets=targets, rows=rows, device="cpu")
    assert noise_BMD is not None
    return noise_BMD


def test_without_stochastic_positions_nothing_is_drawn():
    assert noise.positions(TrialConfig(), 0, targets=7, rows=slice(0, 8), device="cpu") is None


def test_it_is_normal_of_the_asked_deviation():
    n_X = drawn(rows=slice(0, 64), targets=64).flatten() / 0.25
    moments = [n_X.mean(), n_X.square().mean(), n_X.pow(3).mean(), n_X.pow(4).mean()]
    torch.testing.assert_close(torch.stack(moments), torch.tensor([0.0, 1.0, 0.0, 3.0]), atol=0.05, rtol=0)
    assert n_X.isfinite().all()


def test_its_numbers_do_not_hang_together():
    n_BI = drawn(rows=slice(0, 64), targets=64).flatten(1)
    n_BI = (n_BI - n_BI.mean(1, keepdim=True)) / n_BI.std(1, keepdim=True)
    between = n_BI @ n_BI.T / n_BI.shape[1] - torch.eye(len(n_BI))
    assert between.abs().max() < 0.08  # 4,096 numbers a sample: five deviations of 1/64
    for lag in (1, 2, 64):
        assert (n_BI[:, lag:] * n_BI[:, :-lag]).mean().abs() < 0.01


def test_a_sample_s_noise_is_a_function_of_seed_step_and_sample():
    assert torch.equal(drawn()[3:5], drawn(rows=slice(3, 5)))
    for other in (drawn(step=1), drawn(dataclasses.replace(CONFIG, seed=1))):
        assert not torch.isclose(other, drawn()).any(dim=-1).all()


@pytest.mark.parametrize("key", [0, 2**32 - 1])
def test_the_ends_of_the_range_are_keys_too(key):
    assert noise.normal(torch.tensor([key]), count=1000).isfinite().all()
