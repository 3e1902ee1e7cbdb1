"""Tensors on their way to a device, and their digest, by which two runs are seen to have ended with the same bits."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def onto(x: Tensor, device: torch.device | str) -> Tensor:
    """`x` on the device. To a GPU through pinned memory, so that the host does not wait for what is queued there."""
    if torch.device(device).type == "cuda" and x.device.type == "cpu":
        x = x.pin_memory()
    return x.to(device, non_blocking=True)


def sha256_of(tensors: Mapping[str, Tensor]) -> str:
    """Digest of these tensors: name, dtype, shape and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
