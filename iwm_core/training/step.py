"""One optimisation step: views, masks, loss, backward, clip, AdamW, EMA.

It is a function of (state, images, configuration) alone: views and masks are drawn from (seed, step, sample), rates
come from the step. On a GPU nothing in it waits for the device.

Shapes: B batch, C channels, H height, W width.
"""

from dataclasses import dataclass

from torch import Tensor

from iwm_core.config import TrialConfig
from iwm_core.objectives import table as objectives
from iwm_core.objectives.objective import Part, Terms
from iwm_core.training import numerics, optim, schedules
from iwm_core.training.state import TrainState


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What step `step` (from 0) did: its loss and targets, the gradient's norm before clipping (0-dim), its rates."""

    step: int
    terms: Terms
    grad_norm: Tensor
    lr: float
    ema: float


def optimise(state: TrainState, *, image_BCHW: Tensor, config: TrialConfig) -> Outcome:
    """Changes `state` by one step on uint8 images that are already on its device."""
    step, total, device = state.step, config.train.steps, image_BCHW.device
    objective = objectives.of(config)
    drawn = objective.draw(Part(image_BCHW=image_BCHW, step=step), config)
    with numerics.autocast(config.train, device=device):
        terms = objective.loss(state.world_model, state.target, drawn, config)

    state.optimizer.zero_grad(set_to_none=True)
    terms.loss.backward()
    grad_norm = optim.clip(state.world_model, max_norm=config.optim.grad_clip)
    lr = optim.set_step(state.optimizer, config=config.optim, step=step, total=total)
    state.optimizer.step()
    ema = schedules.ema_at(config.optim, step=step, total=total)
    state.target.update(state.world_model.encoder, decay=ema)
    state.step += 1
    return Outcome(step=step, terms=terms, grad_norm=grad_norm, lr=lr, ema=ema)
