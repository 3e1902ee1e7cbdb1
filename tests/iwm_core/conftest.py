"""A trial of a few milliseconds a step, and a way to run attempts at it."""

import contextlib
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from iwm_core.config import (
    DataConfig,
    EncoderConfig,
    EvaluateConfig,
    PredictorConfig,
    RuntimeConfig,
    TrainConfig,
    TrialConfig,
)
from iwm_core.events import Event, Finished, Preempted, RunCallbacks, Step, is_telemetry
from iwm_core.pretrain import train
from iwm_core.training.checkpoint import CheckpointFolder


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def tiny():
    return TrialConfig(
        seed=3,
        data=DataConfig(kind="random", random_images=64, image_size=16, stored_size=20),
        encoder=EncoderConfig(patch_size=4, width=16, depth=1),
        predictor=PredictorConfig(width=16, depth=1),
        train=TrainConfig(steps=10, batch_size=8, log_every=2),
        evaluate=EvaluateConfig(bank_size=4, bank_images=2, probe_train_images=24, probe_test_images=24),
    )


class KilledError(Exception):
    """Stands for SIGKILL: nothing of the attempt's own runs after it."""


@dataclass
class Attempt:
    """What one attempt said and how it ended."""

    events: list[Event] = field(default_factory=list)
    resumed_from: int = -1
    skipped: list[str] = field(default_factory=list)
    fingerprint: dict = field(default_factory=dict)
    end: Finished | Preempted | None = None

    @property
    def curve(self) -> dict[int, dict[str, float]]:
        """Step -> metrics without the wall clock's."""
        steps = [event for event in self.events if isinstance(event, Step)]
        return {e.step: {k: v for k, v in e.metrics.items() if not is_telemetry(k)} for e in steps}


@pytest.fixture
def run(tmp_path):
    """run(config, attempt=0, stop_after=None, kill_after=None, **runtime) in one folder of checkpoints."""

    def run(config, *, attempt=0, stop_after=None, kill_after=None, folder: Path = tmp_path / "checkpoints", **runtime):
        seen, asked = Attempt(), 0

        def should_stop():
            nonlocal asked
            asked += 1
            if asked == kill_after:
                raise KilledError
            return "SIGTERM" if asked == stop_after else None

        def on_start(step, skipped, fingerprint):
            seen.resumed_from, seen.skipped, seen.fingerprint = step, skipped, fingerprint

        settings = dataclasses.replace(RuntimeConfig(device="cpu", checkpoint_every_steps=4), **runtime)
        with contextlib.suppress(KilledError):
            seen.end = train(
                config,
                settings,
                checkpoints=CheckpointFolder(folder, attempt=attempt, keep=settings.keep_checkpoints),
                callbacks=RunCallbacks(on_start=on_start, emit=seen.events.append, should_stop=should_stop),
            )
        return seen

    return run
