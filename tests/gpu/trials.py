"""Trials for a GPU and for the CPU beside it: narrow enough to be quick, wide enough for rounding to show."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from iwm_core.config import RuntimeConfig, TrialConfig, flatten, from_dict, to_dict
from iwm_core.events import Event, Finished, Preempted, RunCallbacks, Step, is_telemetry
from iwm_core.models.conditioning import CONDITIONINGS
from iwm_core.objectives.requirements import REQUIREMENTS
from iwm_core.objectives.table import OBJECTIVES
from iwm_core.pretrain import train
from iwm_core.training import state
from iwm_core.training.checkpoint import CheckpointFolder
from iwm_core.training.state import TrainState

CPU = torch.device("cpu")
BF16_EPS = torch.finfo(torch.bfloat16).eps


def changed(config: TrialConfig, settings: Mapping[str, Any]) -> TrialConfig:
    """`config` with the `settings`, named as on the command line."""
    raw = to_dict(config)
    for key, value in settings.items():
        assert key in flatten(raw), key
        *groups, name = key.split(".")
        inner = raw
        for group in groups:
            inner = inner[group]
        inner[name] = value
    return from_dict(TrialConfig, raw)


NOISE = {"data.kind": "random", "data.random_images": 64, "evaluate.bank_size": 8, "evaluate.bank_images": 2}
FEW = {"evaluate.probe_train_images": 48, "evaluate.probe_test_images": 24}
WIDE = changed(
    TrialConfig(),
    {
        **NOISE, "data.image_size": 48, "data.stored_size": 56, "encoder.width": 192, "encoder.depth": 4,
        "encoder.heads": 3, "predictor.width": 96, "predictor.heads": 3, "train.batch_size": 16,
    },
)  # fmt: skip
"""One step of it is compared between devices and precisions."""
SMALL = changed(
    TrialConfig(),
    {**NOISE, **FEW, "encoder.patch_size": 4, "train.batch_size": 16, "train.steps": 8, "train.log_every": 2},
)
"""It is trained to its end."""


def _objective(kind: str) -> dict[str, Any]:
    """The settings with which an objective of the table works."""
    needs = {setting: need.value for setting, need in REQUIREMENTS.get(kind, {}).items() if not need.at_least}
    return {"objective.kind": kind, **needs}


CASES: dict[str, dict[str, Any]] = {
    **{kind: _objective(kind) for kind in OBJECTIVES},
    **{f"iwm, {kind}": {"conditioning.kind": kind} for kind in CONDITIONINGS if kind != WIDE.conditioning.kind},
    "iwm, yiq and noise": {"photometric.hue": "yiq", "predictor.position_noise": 0.25},
    "ijepa, blocks": {
        **_objective("ijepa"), "objective.loss": "smooth_l1", "masks.kind": "multiblock", "masks.sequences": "blocks",
        "masks.context_ratio": 0.25, "masks.target_ratio": 0.14,
    },
}  # fmt: skip
"""Every objective and every conditioning, and what a step does otherwise in other settings."""


def exact(config: TrialConfig, precision: str) -> TrialConfig:
    """The trial in this precision, and so that bits are promised on a GPU, too."""
    return changed(config, {"train.precision": precision, "train.deterministic": True})


def images(config: TrialConfig, device: torch.device) -> torch.Tensor:
    """One batch of uint8 images."""
    shape = (config.train.batch_size, 3, config.data.image_size, config.data.image_size)
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator).to(device)


def built(config: TrialConfig, device: torch.device) -> TrainState:
    """A state whose encoder has left its target, and of which no part is 0: the same numbers on every device."""
    made, generator = state.build(config, device=device), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in made.networks.parameters():
            if weight.requires_grad:
                weight.add_(0.02 * torch.randn(weight.shape, generator=generator).to(device))
    return made


@dataclass
class Attempt:
    """What one attempt said and how it ended; None: it was killed."""

    events: list[Event] = field(default_factory=list)
    resumed_from: int = -1
    fingerprint: dict[str, Any] = field(default_factory=dict)
    end: Finished | Preempted | None = None

    @property
    def curve(self) -> dict[int, dict[str, float]]:
        """Step -> metrics without the wall clock's."""
        steps = [event for event in self.events if isinstance(event, Step)]
        return {e.step: {k: v for k, v in e.metrics.items() if not is_telemetry(k)} for e in steps}

    @property
    def weights(self) -> str:
        """Digest of the final weights."""
        assert isinstance(self.end, Finished)
        return self.end.weights_sha256


class KilledError(Exception):
    """Stands for SIGKILL: nothing of the attempt's own runs after it."""


def killed_at(asked: int) -> str | None:
    """`ask` of an attempt that is killed at its fourth step."""
    if asked == 4:
        raise KilledError
    return None


def attempt(
    config: TrialConfig,
    device: torch.device,
    *,
    folder: Path,
    number: int = 0,
    ask: Callable[[int], str | None] = lambda asked: None,
    **runtime: Any,
) -> Attempt:
    """One attempt at a trial. `ask` is `should_stop`, and is told how often it was asked."""
    seen, asked = Attempt(), 0

    def should_stop() -> str | None:
        nonlocal asked
        asked += 1
        return ask(asked)

    def on_start(step: int, skipped: list[str], fingerprint: dict[str, Any]) -> None:
        assert not skipped
        seen.resumed_from, seen.fingerprint = step, fingerprint

    settings = {"device": device.type, "checkpoint_every_steps": 2, **runtime}
    with contextlib.suppress(KilledError):
        seen.end = train(
            config,
            from_dict(RuntimeConfig, settings),
            checkpoints=CheckpointFolder(folder, attempt=number),
            callbacks=RunCallbacks(on_start=on_start, emit=seen.events.append, should_stop=should_stop),
        )
    return seen
