"""How a step's networks are run: activations recomputed, compiled, in parallel with other ranks'.

None of it changes which function they are, nor the names of their weights. Recomputation keeps the bits (on the CPU,
and where CUDA's kernels are deterministic); compilation has bits of its own, so it is part of a trial. What is
evaluated is never compiled: its shapes are others, each of which would be compiled anew.
"""

import contextlib

import torch
from torch import nn

from iwm_core.config import RuntimeConfig, TrainConfig, TrialConfig
from iwm_core.models.block import recompute
from iwm_core.training.distributed import World
from iwm_core.training.state import TrainState

BACKEND = "inductor"
"""Of torch.compile: C++ on the CPU, Triton on CUDA."""


def prepared(
    state: TrainState, *, config: TrialConfig, runtime: RuntimeConfig, world: World, backend: str = BACKEND
) -> nn.Module:
    """What an objective calls in place of `state.networks`, which it trains."""
    if runtime.checkpoint_activations:
        recompute(state.networks)
    if config.train.compile:
        for network in (state.networks, state.target.encoder):
            network.compile(backend=backend, dynamic=False)
    return world.parallel(state.networks)


def uncompiled(train: TrainConfig) -> contextlib.AbstractContextManager[object]:
    """Inside, networks run as they are written."""
    return torch.compiler.set_stance("force_eager") if train.compile else contextlib.nullcontext()
