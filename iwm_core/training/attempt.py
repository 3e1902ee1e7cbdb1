"""One attempt at a trial, on one rank: what it holds from its first step on.

It begins at the newest usable checkpoint. Where several ranks train together, the first one reads it and shares it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from iwm_core.config import RuntimeConfig, TrialConfig
from iwm_core.data.datasets import ImageDataset, load
from iwm_core.evaluation.online import OnlineEvaluation
from iwm_core.events import Checkpoint, Event
from iwm_core.training import execution, flops, numerics, state
from iwm_core.training.agreement import Agreement
from iwm_core.training.checkpoint import CheckpointFolder
from iwm_core.training.distributed import World
from iwm_core.training.guard import NonFiniteGuard
from iwm_core.training.health import Meter
from iwm_core.training.state import TrainState
from iwm_core.training.writer import CheckpointWriter


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt at a trial, on one rank. `writer` is None on those that follow."""

    config: TrialConfig
    runtime: RuntimeConfig
    world: World
    device: torch.device
    dataset: ImageDataset
    state: TrainState
    networks: nn.Module
    writer: CheckpointWriter | None
    online: OnlineEvaluation | None
    emit: Callable[[Event], None]
    should_stop: Callable[[], str | None]
    agreement: Agreement
    guard: NonFiniteGuard
    meter: Meter

    @property
    def total(self) -> int:
        return self.config.train.steps


def begin(
    config: TrialConfig,
    runtime: RuntimeConfig,
    world: World,
    device: torch.device,
    *,
    checkpoints: CheckpointFolder | None,
    emit: Callable[[Event], None],
    asked: Callable[[], str | None],
) -> tuple[Attempt, list[str]]:
    """The attempt at its first step, and a sentence per checkpoint that was not usable.

    Only the rank with `checkpoints` writes them and looks at the networks while they train.
    """
    resumed, skipped = _resume(config, runtime, checkpoints=checkpoints, device=device, world=world)
    run = Attempt(
        config=config,
        runtime=runtime,
        world=world,
        device=device,
        dataset=load(config.data, split="train", root=runtime.data_root),
        state=resumed,
        networks=execution.prepared(resumed, config=config, runtime=runtime, world=world),
        online=_online(config, runtime, device=device) if checkpoints else None,
        writer=_writer(checkpoints, device=device, emit=emit) if checkpoints else None,
        emit=emit,
        should_stop=asked,
        agreement=Agreement(world),
        guard=NonFiniteGuard(device=device),
        meter=_meter(config, runtime, trained=resumed, device=device, world=world),
    )
    return run, skipped


def _resume(
    config: TrialConfig,
    runtime: RuntimeConfig,
    *,
    checkpoints: CheckpointFolder | None,
    device: torch.device,
    world: World,
) -> tuple[TrainState, list[str]]:
    """The state of the newest usable checkpoint, or the first; and a sentence per checkpoint that was not usable."""
    fresh = state.build(config, device=device, weights_file=runtime.weights_file)
    payload, skipped = None, list[str]()
    if checkpoints:
        payload, _, skipped = checkpoints.newest()
    payload = world.share(payload)
    if payload is not None:
        fresh.load_state_dict(payload)
    return fresh, skipped


def _writer(checkpoints: CheckpointFolder, *, device: torch.device, emit: Callable[[Event], None]) -> CheckpointWriter:
    """A writer that says what is safely on disk."""

    def written(step: int, sha256: str) -> None:
        emit(Checkpoint(step=step, sha256=sha256))

    return CheckpointWriter(checkpoints, device=device, written=written)


def _online(config: TrialConfig, runtime: RuntimeConfig, *, device: torch.device) -> OnlineEvaluation | None:
    """What looks at the networks while they are trained, where that is wanted."""
    if config.train.online_every < 1:
        return None
    return OnlineEvaluation(config, device=device, data_root=runtime.data_root)


def _meter(
    config: TrialConfig, runtime: RuntimeConfig, *, trained: TrainState, device: torch.device, world: World
) -> Meter:
    """A meter that knows what the devices could do at best, where that is known."""
    peak = flops.peak(numerics.model(device), train=config.train)
    at_peak = None
    if peak:
        counted = flops.step_flops(trained.networks, trained.target, config=config)
        at_peak = peak * world.ranks / counted.total
    return Meter(world=world, loader_workers=runtime.loader_workers, images_per_s_at_peak=at_peak)
