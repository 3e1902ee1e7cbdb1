"""The hardware, versions and date that stand under every figure."""

import datetime
import os

import torch

from iwm_core.config import TrialConfig
from iwm_core.training import numerics


def conditions(device: torch.device) -> dict[str, str]:
    """What a figure depends on beside the code."""
    return {
        "device": device_name(device),
        "threads": str(torch.get_num_threads()),
        "load": f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
        "torch": torch.__version__,
        "date": datetime.date.today().isoformat(),
    }


def device_name(device: torch.device) -> str:
    """The maker's name of the device, as in a run's fingerprint."""
    return numerics.fingerprint(TrialConfig(), device=device)["device"]


def one_core() -> None:
    """Keeps this process on one thread of one core, where the system can."""
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
