"""What a cluster offers, and where it lives."""

import re
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import RequestError

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
"""Stand for GPUs under /dev: SLURM sets CUDA_VISIBLE_DEVICES only for character devices; nothing opens these."""
MOST_NODES = 100
LEAST_REQUEUE_DELAY_S = 5
LONGEST_PATH = 70
"""Bytes of the directory's path: sockets lie deeper, and 108 bytes are all that a unix socket's name may have."""
PLAIN_PATH = re.compile(r"[\w./+-]+", re.ASCII)
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


@dataclass(frozen=True)
class Site:
    """Where one cluster lives: a directory, a user, and `nodes + 2` ports from `first_port` on."""

    directory: Path
    user: str
    first_port: int
    first_job_id: int
    loopback_only: bool

    @property
    def controller_port(self) -> int:
        """slurmctld's."""
        return self.first_port

    @property
    def accounting_port(self) -> int:
        """slurmdbd's."""
        return self.first_port + 1

    @property
    def first_node_port(self) -> int:
        """The first slurmd's; the others follow."""
        return self.first_port + 2

    @property
    def slurm_conf(self) -> Path:
        """What SLURM_CONF names; SLURM looks for its other files beside it."""
        return self.directory / "slurm.conf"

    @property
    def munge_socket(self) -> Path:
        """munged's."""
        return self.directory / "munge.sock"

    @property
    def database_socket(self) -> Path:
        """MariaDB's."""
        return self.directory / "db" / "s.sock"


def checked_directory(directory: Path) -> Path:
    """The directory, absolute; a RequestError where SLURM could not live in such a path."""
    directory = directory.expanduser().resolve()
    if not PLAIN_PATH.fullmatch(str(directory)):
        raise RequestError(
            f"{directory}: SLURM reads only paths of letters, digits and . _ + - /; choose another --dir"
        )
    if len(str(directory)) > LONGEST_PATH:
        raise RequestError(
            f"{directory}: {len(str(directory))} characters are too long for the sockets in it, "
            f"{LONGEST_PATH} at most; choose a shorter --dir"
        )
    return directory
