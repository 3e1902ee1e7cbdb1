r"""One optimisation step: views, masks, loss, backward, clip, AdamW, EMA.

    g = 1/(R k) sum_r sum_j grad L(rows of rank r, micro-batch j)

Symbols: R ranks, k = `train.accumulate` micro-batches of equal size, L the objective's mean over samples: g is the
gradient of the mean over the global batch, however it is split. It is a function of (state, images, configuration)
alone: views and masks are drawn from (seed, step, sample), rates come from the step. On a GPU the host never waits for
the device.

The objective calls the networks as `prepared` leaves them: activations recomputed, compiled, in parallel with other
ranks'. That changes neither the function nor the names of the weights. Recomputation keeps the bits (on the CPU, and
where CUDA's kernels are deterministic); compilation has bits of its own, so it is part of a trial. Evaluation is never
compiled: it has other shapes, each of which would be compiled anew.

Shapes: B batch, C channels, H height, W width, D width of the latents.
"""

import contextlib
import typing
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from iwm_core.config import RuntimeConfig, TrainConfig, TrialConfig
from iwm_core.models.block import recompute
from iwm_core.objectives import table as objectives
from iwm_core.objectives.objective import Networks, Part
from iwm_core.training import numerics, optim
from iwm_core.training.distributed import ALONE, World
from iwm_core.training.state import TrainState

BACKEND = "inductor"
"""The backend of torch.compile: C++ on the CPU, Triton on CUDA."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of step `step` (from 0) on this rank's rows: loss (0-dim), pooled targets and predictions [B, D].

    `grad_norm` (0-dim) is that of the global batch, before clipping; then the step's rates.
    """

    step: int
    loss: Tensor
    target_BD: Tensor
    prediction_BD: Tensor
    grad_norm: Tensor
    lr: float
    ema: float


def optimise(
    state: TrainState,
    *,
    image_BCHW: Tensor,
    config: TrialConfig,
    called: nn.Module | None = None,
    world: World = ALONE,
) -> Outcome:
    """Update `state` by one step on this rank's uint8 images, which must be on its device.

    `called` are the state's networks as `prepared` returns them; the objective calls these.
    """
    step, total, device = state.step, config.train.steps, image_BCHW.device
    objective, networks = objectives.of(config), typing.cast(Networks, called or state.networks)
    seen = []
    state.optimizer.zero_grad(set_to_none=True)
    for part, last in _parts(image_BCHW, step=step, config=config, world=world):
        with _summing_up(networks, last=last):
            drawn = objective.draw(part, config)
            with numerics.autocast(config.train, device=device):
                terms = objective.loss(networks, state.target, drawn, config)
            (terms.loss / config.train.accumulate).backward()
        seen.append((terms.loss.detach()[None], *terms.pooled()))

    grad_norm = optim.clip(state.networks, max_norm=config.optim.grad_clip)
    lr = optim.set_step(state.optimizer, config=config.optim, step=step, total=total)
    state.optimizer.step()
    ema = optim.ema_at(config.optim, step=step, total=total)
    state.target.update(state.networks.encoder, decay=ema)
    state.step += 1
    loss_k, target_BD, prediction_BD = (torch.cat(values) for values in zip(*seen, strict=True))
    return Outcome(
        step=step,
        loss=loss_k.mean(),
        target_BD=target_BD,
        prediction_BD=prediction_BD,
        grad_norm=grad_norm,
        lr=lr,
        ema=ema,
    )


def _parts(image_BCHW: Tensor, *, step: int, config: TrialConfig, world: World) -> Iterator[tuple[Part, bool]]:
    """Yield this rank's micro-batches, each with True for the last one."""
    first = world.rows(config.train.batch_size).start
    size = len(image_BCHW) // config.train.accumulate
    for at in range(0, len(image_BCHW), size):
        part = Part(image_BCHW=image_BCHW[at : at + size], step=step, first=first + at)
        yield part, at + size == len(image_BCHW)


def _summing_up(networks: nn.Module, *, last: bool) -> contextlib.AbstractContextManager[None]:
    """Accumulate gradients locally until the last micro-batch, which exchanges them between ranks."""
    if isinstance(networks, DistributedDataParallel) and not last:
        return networks.no_sync()
    return contextlib.nullcontext()


def prepared(
    state: TrainState, *, config: TrialConfig, runtime: RuntimeConfig, world: World, backend: str = BACKEND
) -> nn.Module:
    """Return `state.networks` with recomputation, compilation and data parallelism applied, as configured."""
    if runtime.checkpoint_activations:
        recompute(state.networks)
    if config.train.compile:
        for network in (state.networks, state.target.encoder):
            network.compile(backend=backend, dynamic=False)
    return world.parallel(state.networks)


def uncompiled(train: TrainConfig) -> contextlib.AbstractContextManager[object]:
    """Run networks uncompiled inside the block."""
    return torch.compiler.set_stance("force_eager") if train.compile else contextlib.nullcontext()
