"""Which part of a step its time goes to, by hooks on the modules themselves; the step is run as it is.

    draw -> target -> context -> predictor -> backward -> optimiser -> average

A stage lasts from the end of the one before it to its own. `draw` is views and masks, `backward` has the loss and the
clipping, `average` the moving average and whatever follows the optimiser.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

STAGES = ("draw", "target", "context", "predictor", "backward", "optimiser", "average")


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What a step is made of, whoever wrote it."""

    target: nn.Module
    encoder: nn.Module
    predictor: nn.Module  # its end is the end of the forward pass
    optimizer: Optimizer


def shares(step: Callable[[], object], *, of: Watched, device: torch.device, steps: int = 3) -> dict[str, float]:
    """Each stage's share of the time of `steps` steps."""
    spent: dict[str, float] = defaultdict(float)
    for _ in range(steps):
        marks = _marks(step, of=of, device=device)
        for stage, seconds in marks.items():
            spent[stage] += seconds
    total = sum(spent.values())
    return {stage: round(spent[stage] / total, 4) for stage in STAGES}


def _marks(step: Callable[[], object], *, of: Watched, device: torch.device) -> Mapping[str, float]:
    """Seconds of each stage of one step."""
    watch = _Watch(device)
    with ExitStack() as hooks:
        for handle in (
            of.target.register_forward_pre_hook(lambda *_: watch.mark("draw")),
            of.target.register_forward_hook(lambda *_: watch.mark("target")),
            of.encoder.register_forward_hook(lambda *_: watch.mark("context")),
            of.predictor.register_forward_hook(lambda *_: watch.mark("predictor")),
            of.optimizer.register_step_pre_hook(lambda *_: watch.mark("backward")),
            of.optimizer.register_step_post_hook(lambda *_: watch.mark("optimiser")),
        ):
            hooks.callback(handle.remove)
        step()
        watch.mark("average")
    return watch.seconds()


class _Watch:
    """Moments of a step: of the processor's time of this process, or of the device's own clock."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._moments: list[tuple[str, Any]] = []
        self.mark("")

    def mark(self, stage: str) -> None:
        """The stage ends here."""
        if not self._cuda:
            self._moments.append((stage, time.process_time()))
            return
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self._moments.append((stage, event))

    def seconds(self) -> dict[str, float]:
        """How long each stage took; waits for the device."""
        if self._cuda:
            torch.cuda.synchronize()
        spent: dict[str, float] = defaultdict(float)
        for (_, began), (stage, ended) in zip(self._moments, self._moments[1:], strict=False):
            spent[stage] += began.elapsed_time(ended) / 1000 if self._cuda else ended - began
        return spent
