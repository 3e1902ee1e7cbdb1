r"""FLOPs of one step per image, and the peak of a device, for model FLOPs utilisation (MFU).

    MFU = images/s * FLOPs per image / (peak FLOP/s * devices)

Counted, not derived: torch's FlopCounterMode watches one step of the networks themselves, forward and backward, on
torch's `meta` device, where tensors have shapes and no numbers. Only matrix products count (2 per multiplication and
addition); the optimiser and the moving average have none. Attention is counted as explicit matrix products, and
recomputed activations count once.

Shapes: B batch, C channels, H height, W width.
"""

import copy
import dataclasses
import re
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from iwm_core.config import TrainConfig, TrialConfig
from iwm_core.models.block import recompute, take_path
from iwm_core.models.targets import Target
from iwm_core.objectives import table as objectives
from iwm_core.objectives.objective import Networks, Part

BF16_PEAKS: dict[str, float] = {
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H200 NVL": 835e12,
    "H100": 989.5e12,  # H100 and H200 on SXM boards are one chip with two sizes of memory
    "H200": 989.5e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
}
"""Words of the device's name -> FLOP/s of bf16 matrix products without sparsity; the first that fits holds.

Source: NVIDIA's data sheets (with sparsity they print twice as much). What a card reaches in large products is less:
`benchmarks/peak.py` measures it.
"""

COUNTED = 2  # images; more than one, to detect work that a batch shares

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class StepFlops:
    """FLOPs per image: the target encoder, the encoder on its context, and whatever else the objective computes."""

    target: float
    context_forward: float
    context_backward: float
    predictor_forward: float
    predictor_backward: float

    @property
    def total(self) -> float:
        return sum(vars(self).values())


def peak(device_name: str, *, train: TrainConfig) -> float | None:
    """Return the peak FLOP/s of `device_name` in the precision of `train`; None if unknown."""
    fitting = [flops for words, flops in BF16_PEAKS.items() if re.search(rf"\b{words}\b", device_name)]
    return fitting[0] if fitting and train.precision == "bf16" else None


def step_flops(networks: Networks, target: Target, *, config: TrialConfig) -> StepFlops:
    """Count the FLOPs of one step of these networks without running or changing them."""
    image_BCHW = torch.zeros(COUNTED, 3, config.data.image_size, config.data.image_size, dtype=torch.uint8)
    objective = objectives.of(config)
    drawn = _on_meta(objective.draw(Part(image_BCHW=image_BCHW, step=0), config))
    memo: dict[int, Any] = {}
    shadow, shadow_target = _shadow(networks, memo=memo), _shadow(target, memo=memo)
    with FlopCounterMode(display=False) as counter:
        terms = objective.loss(shadow, shadow_target, drawn, config)
        forward, context, of_target = (_counted(counter, name) for name in ("Global", *_names(shadow, shadow_target)))
        terms.loss.backward()
    backward = _counted(counter, "Global") - forward
    context_backward = _counted(counter, _names(shadow, shadow_target)[0]) - context
    return StepFlops(
        target=of_target,
        context_forward=context,
        context_backward=context_backward,
        predictor_forward=forward - context - of_target,
        predictor_backward=backward - context_backward,
    )


def _names(networks: nn.Module, target: nn.Module) -> tuple[str, str]:
    """The names of encoder and target in the counter."""
    return f"{type(networks).__name__}.encoder", type(target).__name__


def _counted(counter: FlopCounterMode, name: str) -> float:
    """FLOPs per image of the module `name` so far."""
    return sum(counter.get_flop_counts().get(name, {}).values()) / COUNTED


def _shadow(network: Network, *, memo: dict[int, Any]) -> Network:
    """Copy the network to `meta`; weights shared between calls with the same `memo` stay shared."""
    for weight in network.parameters():
        memo[id(weight)] = nn.Parameter(torch.empty_like(weight, device="meta"), requires_grad=weight.requires_grad)
    for buffer in network.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device="meta")
    shadow = copy.deepcopy(network, memo)
    take_path(shadow, "explicit")
    recompute(shadow, on=False)
    return shadow


def _on_meta(value: Any) -> Any:
    """Nested dataclasses and sequences of tensors, on the `meta` device."""
    if isinstance(value, Tensor):
        return value.to("meta")
    if isinstance(value, tuple | list):
        return type(value)(map(_on_meta, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _on_meta(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    return value
