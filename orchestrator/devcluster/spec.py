"""What a cluster offers."""

import re
from dataclasses import dataclass

from orchestrator.errors import RequestError

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
"""Stand for GPUs under /dev: SLURM sets CUDA_VISIBLE_DEVICES only for character devices; nothing opens these."""
MOST_NODES = 100
LEAST_REQUEUE_DELAY_S = 5
SETTING = re.compile(r"\w+=[^\n]*")


@dataclass(frozen=True)
class ClusterSpec:
    """Nodes, and the settings that decide how SLURM treats their jobs; equal specs make equal clusters.

    grace_s: a preempted job's time to end. A minimum: 1 to 10 give about 13 s, 20 gives 20 to 25, 0 ends it at once.
    kill_wait_s: between SIGTERM and SIGKILL.
    requeue_delay_s: for how long, and one second more, a requeued job is held back; at least 5 (SLURM's own is 120).
    node_timeout_s: how long a node may be silent before SLURM calls it down.
    user_signal: whether preemption sends the signal of `--signal` first.
    settings: lines KEY=VALUE of slurm.conf, instead of ours or added to them.
    """

    nodes: int = 4
    gpus: int = 2
    cpus: int = 4
    memory_mb: int = 16000
    grace_s: int = 5
    kill_wait_s: int = 3
    requeue_delay_s: int = 5
    node_timeout_s: int = 10
    user_signal: bool = False
    settings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for what, value, least, most in (
            ("nodes", self.nodes, 1, MOST_NODES),
            ("GPUs per node", self.gpus, 0, len(DEVICES)),
            ("CPUs per node", self.cpus, 1, 1024),
            ("MB of memory per node", self.memory_mb, 64, 10**7),
            ("seconds of grace", self.grace_s, 0, 3600),
            ("seconds between SIGTERM and SIGKILL", self.kill_wait_s, 1, 3600),
            ("seconds of requeue delay", self.requeue_delay_s, LEAST_REQUEUE_DELAY_S, 3600),
            ("seconds of node timeout", self.node_timeout_s, 1, 3600),
        ):
            if not least <= value <= most:
                raise RequestError(f"a cluster has {least} to {most} {what}, not {value}")
        for setting in self.settings:
            if not SETTING.fullmatch(setting):
                raise RequestError(f"a setting of slurm.conf reads KEY=VALUE, not '{setting}'")

    @property
    def node_names(self) -> tuple[str, ...]:
        """`n1`, `n2`, ..."""
        return tuple(f"n{number + 1}" for number in range(self.nodes))
