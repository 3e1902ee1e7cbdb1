"""Seconds of a device, contenders in turns, and how often the host waits.

On the CPU a second is one of the processor's time of this process, so that waiting for a core does not count; on a GPU
it is one of the wall clock from an idle device to an idle device. Contenders run in turns, so that a noisy machine
disturbs all of them, and what is compared is the median over the turns.
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from statistics import median

import torch

Step = Callable[[], object]


def seconds(step: Step, *, device: torch.device, times: int = 1) -> float:
    """Seconds of one step, over `times` of them."""
    if device.type == "cpu":
        began = time.process_time()
        for _ in range(times):
            step()
        return (time.process_time() - began) / times
    torch.cuda.synchronize(device)
    began = time.perf_counter()
    for _ in range(times):
        step()
    torch.cuda.synchronize(device)
    return (time.perf_counter() - began) / times


def first(step: Step, *, device: torch.device) -> float:
    """Seconds of the wall clock of a first step: kernels are chosen and, where asked for, compiled."""
    began = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def in_turns(steps: Mapping[str, Step], *, device: torch.device, rounds: int, times: int = 1) -> dict[str, list[float]]:
    """Seconds per step of each contender, a value a round; the first step of each is not counted."""
    for step in steps.values():
        step()
    spent: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            spent[name].append(seconds(step, device=device, times=times))
    return spent


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """Median over the rounds of one's seconds over the other's."""
    return median(a / b for a, b in zip(one, other, strict=True))


def host_waits(step: Step, *, device: torch.device, times: int = 10) -> float | None:
    """How often a step makes the host wait for the device; None on the CPU, where there is nothing to wait for."""
    if device.type != "cuda":
        return None
    step()
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            for _ in range(times):
                step()
        finally:
            torch.cuda.set_sync_debug_mode(before)
    return sum("called a synchronizing" in str(warning.message) for warning in caught) / times
