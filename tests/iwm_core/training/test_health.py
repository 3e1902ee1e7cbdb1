import logging
import math

import pytest
import torch

from iwm_core.objectives.objective import Terms
from iwm_core.training.health import COLLAPSE_STD, STARVING_READINGS, Alarms, Meter, health
from iwm_core.training.step import Outcome

B, N, D = 64, 16, 32


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def health_of(h_BND):
    return health(Terms(loss=torch.tensor(0.0), p_BMD=h_BND, h_BND=h_BND).pooled()[0])


def test_latents_that_differ_between_images_are_healthy():
    found = health_of(noise(B, 1, D) * 0.5 + noise(B, N, D, seed=1))
    assert found["std"] == pytest.approx(0.5, abs=0.1)
    assert found["std"] > COLLAPSE_STD


def test_latents_that_differ_between_patches_alone_are_collapsed():
    found = health_of(noise(1, N, D) + 0.01 * noise(B, 1, D, seed=1))
    assert found["std"] == pytest.approx(0.01, abs=0.005)
    assert found["std"] < COLLAPSE_STD


def test_the_effective_rank_counts_directions():
    directions_RD = torch.linalg.qr(noise(D, 3)).Q.T
    signs_BR = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]).repeat(B // 4, 1)
    found = health_of((signs_BR @ directions_RD)[:, None])
    assert found["effective_rank"] == pytest.approx(3, abs=0.01)


def test_the_effective_rank_is_that_of_the_singular_values():
    h_BND = noise(B, N, D)
    s_D = torch.linalg.svdvals(h_BND.mean(1) - h_BND.mean((0, 1)))
    q_D = s_D / s_D.sum()
    expected = torch.exp(-(q_D * q_D.log()).sum())
    assert health_of(h_BND)["effective_rank"] == pytest.approx(float(expected), rel=1e-3)
    assert health_of(h_BND.repeat(1, 1, 4))["effective_rank"] == pytest.approx(float(expected), rel=1e-2)


def test_the_metrics_are_0_dim_and_fp32_whatever_comes_in():
    found = health_of(noise(B, N, D).bfloat16().requires_grad_())
    assert {(value.shape, value.dtype, value.requires_grad) for value in found.values()} == {
        (torch.Size([]), torch.float32, False)
    }


def test_one_image_has_no_spread():
    found = health_of(noise(1, N, D))
    assert (float(found["std"]), float(found["effective_rank"])) == (0, 1)


def test_latents_that_are_not_finite_are_said_to_be_so():
    h_BND = noise(B, N, D)
    h_BND[0, 0, 0] = torch.nan
    assert all(value.isnan() for value in health_of(h_BND).values())


def outcome(h_BD):
    return Outcome(
        step=7, loss=torch.tensor(0.5), target_BD=h_BD, prediction_BD=h_BD, grad_norm=torch.tensor(2.0), lr=0.1, ema=0.9
    )


HEALTHY_STEP = outcome(torch.randn(16, 8, generator=torch.Generator().manual_seed(0)))
COLLAPSED = outcome(torch.ones(16, 8))


def test_a_reading_holds_the_steps_own_values():
    metrics = Meter().read(HEALTHY_STEP)
    expected = {"loss": 0.5, "grad_norm": 2.0, "lr": 0.1, "ema": 0.9, "collapse_alarm": 0.0}
    assert expected.items() <= metrics.items()
    assert metrics["target_std"] == pytest.approx(HEALTHY_STEP.target_BD.std(0).mean().item(), rel=0.05)
    assert all(math.isfinite(value) for value in metrics.values())


def test_speed_counts_the_images_since_the_last_reading():
    meter = Meter()
    meter.count(64)
    assert meter.read(HEALTHY_STEP)["images_per_s"] > 0
    assert meter.read(HEALTHY_STEP)["images_per_s"] == 0


def test_a_collapse_raises_the_alarm_and_is_said_once(caplog):
    meter = Meter()
    with caplog.at_level(logging.WARNING):
        assert [meter.read(COLLAPSED)["collapse_alarm"] for _ in range(2)] == [1.0, 1.0]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("step 8: targets collapse")


HEALTHY = {"target_std": 0.5, "data_wait_share": 0.1}


def readings(alarms, values):
    return [alarms.heed({**HEALTHY, **value}, step=step) for step, value in enumerate(values, start=1)]


def test_a_healthy_run_is_quiet(caplog):
    with caplog.at_level(logging.WARNING):
        assert readings(Alarms(), [{}] * 4) == [{"collapse_alarm": 0.0, "starving_alarm": 0.0}] * 4
    assert not caplog.messages


def test_a_collapse_is_said_once_and_shown_as_long_as_it_lasts(caplog):
    with caplog.at_level(logging.WARNING):
        found = readings(Alarms(), [{"target_std": 0.01}] * 2 + [{}])
    assert [alarm["collapse_alarm"] for alarm in found] == [1.0, 1.0, 0.0]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("step 1: targets collapse")


@pytest.mark.parametrize(("workers", "better"), [(0, 2), (4, 8)])
def test_a_loader_that_starves_training_for_long_is_named_once_with_what_to_try(caplog, workers, better):
    slow = {"data_wait_share": 0.6}
    with caplog.at_level(logging.WARNING):
        found = readings(Alarms(loader_workers=workers), [slow, {}, *[slow] * (STARVING_READINGS + 1)])
    assert [alarm["starving_alarm"] for alarm in found] == [0.0] * 4 + [1.0] * 2
    assert len(caplog.messages) == 1
    assert "60%" in caplog.messages[0]
    assert f"try resources.loader_workers={better} (it is {workers})" in caplog.messages[0]
