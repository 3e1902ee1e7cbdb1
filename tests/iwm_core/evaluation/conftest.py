"""Small trials on the digits, and networks for them, fresh for each test."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from iwm_core.config import (
    ConditioningConfig,
    DataConfig,
    EncoderConfig,
    EvaluateConfig,
    PhotometricConfig,
    PredictorConfig,
    TrainConfig,
    TrialConfig,
    TuneConfig,
)
from iwm_core.evaluation.subject import Subject
from iwm_core.models.targets import MovingAverage, Target
from iwm_core.objectives import table as objectives
from iwm_core.objectives.objective import Networks


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
def networks(config: TrialConfig) -> tuple[Networks, Target]:
    """A world model as the trial starts, and its target encoder."""
    model = objectives.build(config)
    return model, MovingAverage(model.encoder, normalise=True)


@pytest.fixture
def small() -> TrialConfig:
    """A trial of a few milliseconds a step, on noise."""
    return TrialConfig(
        data=DataConfig(kind="random", random_images=64, image_size=16, stored_size=20),
        encoder=EncoderConfig(patch_size=4, width=16, depth=2),
        predictor=PredictorConfig(width=16, depth=2),
        evaluate=EvaluateConfig(bank_size=4, bank_images=2, probe_train_images=48, probe_test_images=24),
        tune=TuneConfig(steps=6, batch_size=8),
        train=TrainConfig(log_every=2),
    )


@pytest.fixture
def subject() -> Callable[..., Subject]:
    """subject(config, **more): the networks of a trial as it starts, under test; `protocol` names what tests them."""

    def subject(config: TrialConfig, *, protocol: str = "", **more: Any) -> Subject:
        config = dataclasses.replace(config, evaluate=dataclasses.replace(config.evaluate, protocol=protocol))
        model = objectives.build(config).eval()
        with torch.no_grad():  # somewhere else than where it started
            for parameter in model.parameters():
                parameter.mul_(1.1)
        target = MovingAverage(model.encoder, normalise=True)
        return Subject(config=config, networks=model, target=target, device=torch.device("cpu"), **more)

    return subject


@pytest.fixture
def digits(small: TrialConfig) -> TrialConfig:
    """The same on digits."""
    return dataclasses.replace(small, data=dataclasses.replace(small.data, kind="digits_on_photos"))
