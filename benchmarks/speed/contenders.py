"""A step that can be timed, and ours as training runs it: views, masks, forward, backward, clip, AdamW, EMA.

Shapes: B batch, C channels, H height, W width.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.speed.cases import Case
from benchmarks.speed.stages import Watched
from iwm_core.config import RuntimeConfig
from iwm_core.models.block import Block
from iwm_core.objectives import table as objectives
from iwm_core.objectives.objective import Part
from iwm_core.training import numerics, state
from iwm_core.training.distributed import ALONE
from iwm_core.training.flops import step_flops
from iwm_core.training.step import optimise, prepared


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A step, what it costs per image, and what it is made of."""

    name: str
    step: Callable[[], object]
    flops: float  # per image
    watched: Watched
    draw: Callable[[], object] | None = None  # views and masks alone, where the step makes them


def compile_blocks(*networks: nn.Module) -> None:
    """Compiles every transformer block by itself: equal blocks share one compilation."""
    for network in networks:
        for module in network.modules():
            if isinstance(module, Block):
                module.compile(dynamic=False)


def ours(case: Case, *, objective: str, device: torch.device) -> Contender:
    """The step of `objective` on uint8 images that lie on the device."""
    config = case.config(objective)
    built = state.build(config, device=device)
    flops = step_flops(built.networks, built.target, config=config).total
    networks = prepared(built, config=config, runtime=RuntimeConfig(), world=ALONE)
    drawn = torch.Generator().manual_seed(0)
    image_BCHW = torch.randint(256, (case.batch, 3, case.image, case.image), dtype=torch.uint8, generator=drawn)
    image_BCHW = image_BCHW.to(device)

    def step() -> None:
        with numerics.arithmetic(config.train, device=device):
            optimise(built, image_BCHW=image_BCHW, config=config, called=networks)

    return Contender(
        name=objective,
        step=step,
        draw=lambda: objectives.of(config).draw(Part(image_BCHW=image_BCHW, step=built.step), config),
        flops=flops,
        watched=Watched(
            target=built.target,
            encoder=built.networks.encoder,
            predictor=built.networks,
            optimizer=built.optimizer,
        ),
    )
