"""The NaN guard: detects on the device, reads rarely, and saves the batch that caused it.

A number on the device holds the first step whose loss or gradient is not finite. The host reads it where it waits
anyway, at log lines and checkpoints. Before a checkpoint it also checks the weights, so no checkpoint has a broken
state.

Shapes: B batch, C channels, H height, W width, A action, K context, M targets.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from iwm_core.config import TrialConfig
from iwm_core.data.loader import Batch
from iwm_core.objectives import table as objectives
from iwm_core.objectives.objective import Part
from iwm_core.training.distributed import ALONE, World
from iwm_core.training.step import Outcome

NEVER = torch.iinfo(torch.int64).max


class NonFiniteGuard:
    """Remembers the first step with a non-finite loss or gradient."""

    def __init__(self, *, device: torch.device) -> None:
        self._first = torch.full((), -1, dtype=torch.int64, device=device)

    def watch(self, outcome: Outcome) -> None:
        """Check one step without waiting for the device."""
        broken = ~torch.isfinite(outcome.loss + outcome.grad_norm)
        self._first = torch.where(broken & (self._first < 0), outcome.step, self._first)

    def first_broken_step(self, world: World = ALONE) -> int | None:
        """Return the first non-finite step on any rank, or None. Waits for the device and for the other ranks."""
        first = int(world.least(torch.where(self._first < 0, NEVER, self._first)))
        return None if first == NEVER else first


def is_finite(model: nn.Module) -> bool:
    """Return True if all weights, and their norm, are finite. Waits for the device."""
    return bool(torch.isfinite(torch.nn.utils.get_total_norm(model.parameters())))


def keep_batch(batch: Batch, *, config: TrialConfig, folder: Path) -> Path:
    """Save the images of step `batch.step`, and all that its objective drew, to a file in `folder`; return its path."""
    drawn = objectives.of(config).draw(Part(image_BCHW=batch.image_BCHW, step=batch.step), config)
    file = folder / f"nonfinite-step-{batch.step:08d}.pt"
    seen = {"step": batch.step, "index_B": torch.from_numpy(batch.index_B), "image_BCHW": batch.image_BCHW}
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({**seen, **_tensors(drawn)}, file)
    return file


def _tensors(drawn: Any) -> dict[str, torch.Tensor]:
    """Return every tensor in nested dataclasses by its field's name, without fields that are None."""
    found: dict[str, torch.Tensor] = {}
    for name, value in vars(drawn).items():
        if value is not None:
            found |= {name: value} if isinstance(value, torch.Tensor) else _tensors(value)
    return found
