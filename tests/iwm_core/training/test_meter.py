import logging
import math

import pytest
import torch

from iwm_core.training.meter import Meter
from iwm_core.training.step import Outcome


def outcome(h_BD):
    return Outcome(
        step=7, loss=torch.tensor(0.5), target_BD=h_BD, prediction_BD=h_BD, grad_norm=torch.tensor(2.0), lr=0.1, ema=0.9
    )


HEALTHY = outcome(torch.randn(16, 8, generator=torch.Generator().manual_seed(0)))
COLLAPSED = outcome(torch.ones(16, 8))


def test_a_reading_holds_the_steps_own_values():
    metrics = Meter().read(HEALTHY)
    expected = {"loss": 0.5, "grad_norm": 2.0, "lr": 0.1, "ema": 0.9, "collapse_alarm": 0.0}
    assert expected.items() <= metrics.items()
    assert metrics["target_std"] == pytest.approx(HEALTHY.target_BD.std(0).mean().item(), rel=0.05)
    assert all(math.isfinite(value) for value in metrics.values())


def test_speed_counts_the_images_since_the_last_reading():
    meter = Meter()
    meter.count(64)
    assert meter.read(HEALTHY)["images_per_s"] > 0
    assert meter.read(HEALTHY)["images_per_s"] == 0


def test_a_collapse_raises_the_alarm_and_is_said_once(caplog):
    meter = Meter()
    with caplog.at_level(logging.WARNING):
        assert [meter.read(COLLAPSED)["collapse_alarm"] for _ in range(2)] == [1.0, 1.0]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("step 8: targets collapse")
