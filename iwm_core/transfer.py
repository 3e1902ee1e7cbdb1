"""From the host's memory to the device's."""

import torch
from torch import Tensor


def onto(x: Tensor, device: torch.device | str) -> Tensor:
    """`x` on the device. To a GPU through pinned memory, so that the host does not wait for what is queued there."""
    if torch.device(device).type == "cuda" and x.device.type == "cpu":
        x = x.pin_memory()
    return x.to(device, non_blocking=True)
