"""Small trials on the digits, and networks for them, fresh for each test."""

from collections.abc import Iterator

import pytest
import torch

from iwm_core.config import ConditioningConfig, EvaluateConfig, PhotometricConfig, TrialConfig
from iwm_core.models.networks import Networks
from iwm_core.objectives import table as objectives
from iwm_core.training.ema import TargetEncoder


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def config() -> TrialConfig:
    """A predictor that is blind to the action, a bank of 64, probes on a few hundred images."""
    return TrialConfig(
        conditioning=ConditioningConfig(kind="none"),
        photometric=PhotometricConfig(brightness_max=0.4, saturation_max=0.4, hue="yiq"),
        evaluate=EvaluateConfig(
            bank_size=64, bank_images=4, probe_train_images=600, probe_test_images=300, probe_l2=1e-2
        ),
    )


@pytest.fixture
def networks(config: TrialConfig) -> tuple[Networks, TargetEncoder]:
    """A world model as the trial starts, and its target encoder."""
    model = objectives.build(config)
    return model, TargetEncoder(model.encoder, normalise=True)
