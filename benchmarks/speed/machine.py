"""The machine of a benchmark: options that choose the device, and the hardware, versions and date under each figure."""

import argparse
import datetime
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from iwm_core.config import TrialConfig
from iwm_core.training import numerics


def parser(about: str | None) -> argparse.ArgumentParser:
    """--json, --device and --rows; `about` is the module's docstring, whose first line describes it."""
    options = argparse.ArgumentParser(description=about.splitlines()[0] if about else None)
    options.add_argument("--json", action="store_true", help="print one JSON document")
    options.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    options.add_argument("--rows", type=Path, help="append each row to this file of JSON lines once it is measured")
    return options


def conditions(device: torch.device) -> dict[str, str]:
    """What a figure depends on beside the code."""
    return {
        "device": device_name(device),
        "threads": str(torch.get_num_threads()),
        "load": f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
        "torch": torch.__version__,
        "date": datetime.date.today().isoformat(),
    }


def document(rows: Sequence[Any], *, device: torch.device, **facts: str) -> dict[str, object]:
    """Return what `--json` prints of a benchmark with these rows, which are dataclasses."""
    return {**facts, "rows": [asdict(row) for row in rows], **conditions(device)}


def with_conditions(lines: Sequence[str], *, device: torch.device, **facts: str) -> str:
    """Return a Markdown table with the conditions below it."""
    below = ", ".join(f"{key} {value}" for key, value in {**facts, **conditions(device)}.items())
    return "\n".join([*lines, "", below])


def device_name(device: torch.device) -> str:
    """The maker's name of the device, as in a run's fingerprint."""
    return numerics.fingerprint(TrialConfig(), device=device)["device"]


def one_core() -> None:
    """Keeps this process on one thread of one core, where the system can."""
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
