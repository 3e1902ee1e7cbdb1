"""The load of the machine that a trial runs on, with MLflow's names (`system/...`) and units.

These metrics are never compared and are not among a trial's metrics. GPUs are those that the trial may use, counted
from 0; without NVIDIA's library there are none.
"""

import contextlib
import os
import time
from collections.abc import Mapping
from typing import Any

import psutil
import pynvml

from iwm_core.events import SYSTEM

FIRST_S = 5.0
EVERY_S = 30.0
"""Time between two samples: about three thousand a day."""


class Sampler:
    """Samples the machine at intervals."""

    def __init__(self, environ: Mapping[str, str] = os.environ, *, first_s: float = FIRST_S) -> None:
        self._self = psutil.Process()
        self._due = time.monotonic() + first_s
        self._gpus = _gpus(environ.get("CUDA_VISIBLE_DEVICES"))
        self._cpu()  # percentages since the previous call

    def read(self) -> dict[str, float]:
        """The metrics if a sample is due, else an empty dictionary."""
        if time.monotonic() < self._due:
            return {}
        self._due = time.monotonic() + EVERY_S
        found = _of_gpus(self._gpus)
        with contextlib.suppress(psutil.Error):
            found |= self._cpu() | self._memory()
        return {f"{SYSTEM}{name}": round(value, 1) for name, value in found.items()}

    def _cpu(self) -> dict[str, float]:
        whole, own = psutil.cpu_percent(), self._self.cpu_percent()
        return {"cpu_utilization_percentage": whole, "process_cpu_utilization_percentage": own}

    def _memory(self) -> dict[str, float]:
        whole, own = psutil.virtual_memory(), self._self.memory_info().rss
        return {
            "system_memory_usage_megabytes": whole.used / 1e6,
            "system_memory_usage_percentage": whole.used / whole.total * 100,
            "process_memory_megabytes": own / 1e6,
        }


def _gpus(visible: str | None) -> list[Any]:
    """NVML's handles of the visible GPUs (None: of all)."""
    with contextlib.suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        names = range(pynvml.nvmlDeviceGetCount()) if visible is None else filter(None, visible.split(","))
        return [
            pynvml.nvmlDeviceGetHandleByIndex(int(name)) if name.isdigit() else pynvml.nvmlDeviceGetHandleByUUID(name)
            for name in (str(name).strip() for name in names)
        ]
    return []


def _of_gpus(handles: list[Any]) -> dict[str, float]:
    """Utilisation, memory and power of each GPU; omits what a GPU does not report, as a MIG slice."""
    found: dict[str, float] = {}
    for place, handle in enumerate(handles):
        with contextlib.suppress(pynvml.NVMLError):
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            found[f"gpu_{place}_memory_usage_megabytes"] = float(memory.used) / 1e6
            found[f"gpu_{place}_memory_usage_percentage"] = float(memory.used) / float(memory.total) * 100
        with contextlib.suppress(pynvml.NVMLError):
            found[f"gpu_{place}_utilization_percentage"] = float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        with contextlib.suppress(pynvml.NVMLError):
            found[f"gpu_{place}_power_usage_watts"] = pynvml.nvmlDeviceGetPowerUsage(handle) / 1000
    return found
