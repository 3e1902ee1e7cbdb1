"""Device and arithmetic of a run: everything except the configuration that could change a bit.

Deterministic attempts with equal fingerprints end with the same bits. With different fingerprints the results agree
within a tolerance, and are labelled so.
"""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from iwm_core.config import RuntimeConfig, TrainConfig, TrialConfig
from iwm_core.errors import ConfigError, DeviceMemoryError
from iwm_core.models.block import attention_path

THRIFT = "lower train.batch_size, raise train.accumulate or set resources.checkpoint_activations=true"
"""How to reduce the memory of training."""


def device(runtime: RuntimeConfig, *, local_rank: int | None = None) -> torch.device:
    """Return the device that `runtime.device` names; `auto` is CUDA if available.

    With several ranks on a node each uses the GPU of its `local_rank`, or the only visible one.

    Raises:
        ConfigError: CUDA is requested and not available.
    """
    if runtime.device == "cuda" and not torch.cuda.is_available():
        why = "needs a CUDA device, and torch finds none here; choose 'cpu' or 'auto'"
        raise ConfigError.wrong("resources.device", "cuda", why, choices=("cpu", "auto"))
    kind = runtime.device
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cpu" or local_rank is None:
        return torch.device(kind)
    return torch.device(kind, local_rank % torch.cuda.device_count())


def is_deterministic(train: TrainConfig, *, device: torch.device) -> bool:
    """Return True if results are bit-reproducible; the default is True on the CPU only."""
    return device.type == "cpu" if train.deterministic is None else train.deterministic


@contextmanager
def arithmetic(train: TrainConfig, *, device: torch.device, thrift: str = THRIFT) -> Iterator[None]:
    """Set threads and determinism inside the block, and restore them afterwards.

    Raises:
        DeviceMemoryError: the device ran out of memory; its message ends with `thrift`, what helps.
    """
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic  # its one attribute is made at run time
    fill, memory.fill_uninitialized_memory = (
        memory.fill_uninitialized_memory,
        False,
    )  # every tensor is written: saves 3 %
    torch.set_num_threads(train.threads)
    torch.use_deterministic_algorithms(is_deterministic(train, device=device))
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS first starts
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceMemoryError(f"{model(device)} is out of memory: {thrift}") from error
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        memory.fill_uninitialized_memory = fill


def autocast(train: TrainConfig, *, device: torch.device) -> torch.autocast:
    """Autocast to bf16 if the configuration says so; weights, norms and loss stay fp32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=train.precision == "bf16")


def fingerprint(config: TrialConfig, *, device: torch.device, ranks: int = 1) -> dict[str, Any]:
    """Return everything except the configuration that the bits of a run depend on."""
    return {
        "device": model(device),
        "dtype": config.train.precision,
        "threads": config.train.threads,
        "ranks": ranks,
        "torch": torch.__version__,
        "attention": attention_path(device.type, precision=config.train.precision),
        "deterministic": is_deterministic(config.train, device=device),
    }


def model(device: torch.device) -> str:
    """Return the manufacturer's name of the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_cpu_model()} ({torch.backends.cpu.get_cpu_capability()})"


def _cpu_model() -> str:
    facts = Path("/proc/cpuinfo")
    for line in facts.read_text().splitlines() if facts.exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
