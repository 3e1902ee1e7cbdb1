"""The state that training changes: networks, target, optimiser and step. A run resumes from these alone.

Randomness is a function of (seed, step, sample), so there is no generator, no sampler and no schedule to save.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim import AdamW

from iwm_core.config import TrialConfig
from iwm_core.models.block import attention_path, take_path
from iwm_core.models.targets import FrozenTeacher, MovingAverage, Target
from iwm_core.objectives import requirements
from iwm_core.objectives import table as objectives
from iwm_core.objectives.objective import Networks
from iwm_core.tensors import sha256_of
from iwm_core.training import optim


@dataclass(kw_only=True)
class TrainState:
    """The state after `step` optimiser steps; `metrics` are those of the last step that was logged."""

    networks: Networks
    target: Target
    optimizer: AdamW
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)

    def state_dict(self) -> dict[str, Any]:
        """A checkpoint's payload: tensors, numbers and texts in plain containers."""
        modules = {name: getattr(self, part).state_dict() for name, part in ON_DISK.items()}
        return {**modules, "step": self.step, "metrics": dict(self.metrics)}

    def load_state_dict(self, payload: dict[str, Any]) -> None:
        """Load a payload of `state_dict` of a state with the same configuration."""
        for name, part in ON_DISK.items():
            getattr(self, part).load_state_dict(payload[name])
        self.step, self.metrics = payload["step"], dict(payload["metrics"])


ON_DISK = {"world_model": "networks", "target": "target", "optimizer": "optimizer"}
"""Name in a checkpoint and in `weights_sha256` -> field. Names on disk stay, so that earlier checkpoints load."""


def build(config: TrialConfig, *, device: torch.device, weights_file: str = "") -> TrainState:
    """The state before the first step, on `device`; `weights_file` holds the weights of a teacher.

    Raises:
        ConfigError: incompatible sizes, an unknown objective, conditioning or target, or unreadable teacher weights.
    """
    requirements.check_teacher(config, weights_file=weights_file)
    networks = objectives.build(config)
    take_path(networks, attention_path(device.type, precision=config.train.precision))
    networks.to(device)
    if config.teacher:
        target = FrozenTeacher(networks.encoder, config, weights_file=weights_file).to(device)
    else:
        target = MovingAverage(networks.encoder, normalise=config.objective.target_norm)
    return TrainState(networks=networks, target=target, optimizer=optim.build(networks, config=config.optim))


def weights_sha256(state: TrainState) -> str:
    """Return the SHA-256 of both networks: name, dtype, shape and bytes of every tensor, in the order of the names."""
    parts = {"target": state.target, "world_model": state.networks}
    return sha256_of({f"{part}.{name}": x for part, module in parts.items() for name, x in module.state_dict().items()})
