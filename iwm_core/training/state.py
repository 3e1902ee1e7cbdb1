"""All that training changes: two networks, an optimiser, a step. Nothing else is needed to go on.

Randomness is a function of (seed, step, sample), so there is no generator, no sampler and no schedule to save.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW

from iwm_core.config import TrialConfig
from iwm_core.models.block import attention_path, take_path
from iwm_core.models.networks import Networks
from iwm_core.models.targets import FrozenTeacher, MovingAverage, Target
from iwm_core.objectives import requirements
from iwm_core.objectives import table as objectives
from iwm_core.tensors import sha256_of
from iwm_core.training import optim


@dataclass(kw_only=True)
class TrainState:
    """The state after `step` optimiser steps; `metrics` are those of the last step that was logged."""

    world_model: Networks
    target: Target
    optimizer: AdamW
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)

    def state_dict(self) -> dict[str, Any]:
        """A checkpoint's payload: tensors, numbers and texts in plain containers."""
        modules = {name: getattr(self, name).state_dict() for name in _PARTS}
        return {**modules, "step": self.step, "metrics": dict(self.metrics)}

    def load_state_dict(self, payload: dict[str, Any]) -> None:
        """Takes over a payload of `state_dict`, of a state with the same configuration."""
        for name in _PARTS:
            getattr(self, name).load_state_dict(payload[name])
        self.step, self.metrics = payload["step"], dict(payload["metrics"])


_PARTS = ("world_model", "target", "optimizer")


def build(config: TrialConfig, *, device: torch.device, weights_file: str = "") -> TrainState:
    """The state before the first step, on `device`; `weights_file` holds the weights of a teacher.

    Raises:
        ConfigError: sizes that do not fit each other, an unknown objective, conditioning or target, or weights of a
            teacher that cannot be read.
    """
    requirements.check_teacher(config, weights_file=weights_file)
    model = objectives.build(config)
    take_path(model, attention_path(device.type, precision=config.train.precision))
    model.to(device)
    if config.teacher:
        target = FrozenTeacher(model.encoder, config, weights_file=weights_file).to(device)
    else:
        target = MovingAverage(model.encoder, normalise=config.objective.target_norm)
    return TrainState(world_model=model, target=target, optimizer=optim.build(model, config=config.optim))


def weights_sha256(state: TrainState) -> str:
    """Digest of both networks: name, dtype, shape and bytes of every tensor, in the order of the names."""
    parts = ("target", "world_model")
    return sha256_of({f"{part}.{name}": value for part in parts for name, value in _tensors(state, part)})


def _tensors(state: TrainState, part: str) -> Iterable[tuple[str, Tensor]]:
    return getattr(state, part).state_dict().items()
