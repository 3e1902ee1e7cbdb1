"""GPU hours = wall hours x ranks, of the attempts whose fingerprint names a GPU; 0 on a CPU. Pure."""

from orchestrator.lifecycle import Attempt, TrialStatus

GPU_MAKERS = ("NVIDIA", "Tesla", "GeForce", "AMD Instinct", "AMD Radeon")
"""How a GPU's own name begins; a CPU's is followed by its vector unit instead."""


def gpu_hours(status: TrialStatus) -> float:
    """Of all attempts of a trial."""
    return sum(attempt.wall_s * gpus(attempt) for attempt in status.attempts) / 3600


def gpus(attempt: Attempt) -> int:
    """GPUs that an attempt held: its ranks where its device is a GPU."""
    on_gpu = str(attempt.fingerprint.get("device", "")).startswith(GPU_MAKERS)
    return int(attempt.fingerprint.get("ranks", 1)) if on_gpu else 0
