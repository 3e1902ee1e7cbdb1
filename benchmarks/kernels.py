"""Where a step's time goes on the device, kernel by kernel, as torch's profiler sees it.

    python benchmarks/kernels.py [--json] [--device cpu|cuda] [--case 0] [--steps 3] [--most 25] [--rows FILE] [--toy]

`--case` is a number of `benchmarks/speed/cases.py`, as in `step.py`. Time is the device's own (`self`), without what an
operation calls. `idle` is the share of the wall clock in which a GPU ran nothing: the host was too slow, or waited.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.speed import cases, machine
from benchmarks.speed.contenders import ours
from benchmarks.speed.rows import Rows


@dataclass(frozen=True, kw_only=True)
class Row:
    """One kernel (on the CPU: one operator), over all the steps that were watched."""

    kernel: str
    share: float  # of the device's time; of `idle`: of the wall clock
    ms_per_step: float
    calls_per_step: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Watches a few steps and prints a table, or one JSON document."""
    parser = machine.parser(__doc__)
    parser.add_argument("--case", type=int, default=0, help="number of the case, from 0")
    parser.add_argument("--steps", type=int, default=3, help="steps that are watched")
    parser.add_argument("--most", type=int, default=25, help="kernels that are shown")
    parser.add_argument("--toy", action="store_true", help="one tiny case, to see that it runs")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    known = (cases.TOY,) if options.toy else cases.CUDA if device.type == "cuda" else cases.CPU
    case, kept = known[options.case], Rows("kernels", options.rows)
    rows = watch(case, device=device, steps=options.steps)[: options.most + 1]
    for row in rows:
        kept.add(row)
    shown = machine.document(rows, device=device, case=case.name)
    print(json.dumps(shown, indent=2) if options.json else table(rows, title=case.name, device=device))


def watch(case: cases.Case, *, device: torch.device, steps: int) -> list[Row]:
    """The device's idle share, then every kernel, the one that takes longest first."""
    step = ours(case, objective="iwm", device=device).step
    for _ in range(3):
        step()
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]) as profiled:
        began = time.perf_counter()
        for _ in range(steps):
            step()
        if cuda:
            torch.cuda.synchronize()
        wall_s = time.perf_counter() - began
    spent = [(event, _device_s(event, cuda=cuda)) for event in profiled.key_averages()]
    spent = sorted(((event, seconds) for event, seconds in spent if seconds > 0), key=lambda each: -each[1])
    total_s = sum(seconds for _, seconds in spent)
    idle_s = max(0.0, wall_s - total_s)
    idle = Row(
        kernel="idle", share=round(idle_s / wall_s, 4), ms_per_step=round(1000 * idle_s / steps, 3), calls_per_step=0
    )
    return [idle] * cuda + [
        Row(
            kernel=event.key,
            share=round(seconds / total_s, 4),
            ms_per_step=round(1000 * seconds / steps, 3),
            calls_per_step=round(event.count / steps, 1),
        )
        for event, seconds in spent
    ]


def _device_s(event: Any, *, cuda: bool) -> float:
    """Seconds of a kernel itself; an operator on the host has none of the device's."""
    if not cuda:
        return event.self_cpu_time_total / 1e6
    on_device = str(event.device_type).endswith("CUDA")
    return event.self_device_time_total / 1e6 if on_device else 0.0


def table(rows: Sequence[Row], *, title: str, device: torch.device) -> str:
    """Markdown."""
    lines = [title, "", "| kernel | share | ms a step | calls a step |", "|---|---|---|---|"]
    lines += [
        f"| {row.kernel[:80]} | {row.share:.1%} | {row.ms_per_step:.3f} | {row.calls_per_step:g} |" for row in rows
    ]
    return machine.with_conditions(lines, device=device)


if __name__ == "__main__":
    main()
