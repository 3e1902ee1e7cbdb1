"""The specification of a cluster, and its site: directory, user and ports."""

import os
import pwd
import random
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import ClusterError, RequestError

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
"""Devices under /dev that stand for GPUs, never opened: SLURM sets CUDA_VISIBLE_DEVICES for character devices only."""
LIMITS = {
    "nodes": (1, 100),
    "gpus": (0, len(DEVICES)),
    "cpus": (1, 1024),
    "memory_mb": (64, 10**7),
    "grace_s": (0, 3600),
    "kill_wait_s": (1, 3600),
    "requeue_delay_s": (5, 3600),
    "node_timeout_s": (1, 3600),
}
"""Number in a ClusterSpec -> its smallest and largest value."""
SETTING = re.compile(r"\w+=[^\n]*")
LONGEST_PATH = 70
"""Characters of a directory's path: sockets lie deeper, and a unix socket's name has at most 108 bytes."""
PLAIN_PATH = re.compile(r"[\w./+-]+", re.ASCII)
PORTS = range(15000, 32000)
"""Below the ephemeral ports, so that no client takes one later."""


@dataclass(frozen=True)
class ClusterSpec:
    """Nodes, and the settings that decide how SLURM treats their jobs; equal specs make equal clusters.

    Attributes:
        nodes: Number of nodes.
        gpus: GPUs per node.
        cpus: CPUs per node.
        memory_mb: MB of memory per node.
        grace_s: The time that a preempted job has to end. A minimum: 1 to 10 give about 13 s, 20 gives 20 to 25, 0 ends
            the job at once.
        kill_wait_s: Seconds between SIGTERM and SIGKILL.
        requeue_delay_s: A requeued job is held back for one second more than this; at least 5 (SLURM's default is 120).
        node_timeout_s: Seconds after which SLURM calls a silent node down.
        user_signal: True if preemption first sends the signal of `--signal`.
        settings: Lines KEY=VALUE of slurm.conf that replace ours or are added to them.

    Raises:
        RequestError: a number is outside its limits, or a setting is not KEY=VALUE.
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
        for name, (least, most) in LIMITS.items():
            value = getattr(self, name)
            if not least <= value <= most:
                message = f"{name} of a cluster must be between {least} and {most}, not {value}"
                raise RequestError(message, setting=name, value=value)
        for setting in self.settings:
            if not SETTING.fullmatch(setting):
                message = f"a setting of slurm.conf must have the form KEY=VALUE, not '{setting}'"
                raise RequestError(message, setting="settings", value=setting)

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
        """The port of slurmctld."""
        return self.first_port

    @property
    def accounting_port(self) -> int:
        """The port of slurmdbd."""
        return self.first_port + 1

    @property
    def first_node_port(self) -> int:
        """The port of the first slurmd; the others follow."""
        return self.first_port + 2

    @property
    def slurm_conf(self) -> Path:
        """The value of SLURM_CONF; SLURM looks for its other files beside it."""
        return self.directory / "slurm.conf"

    @property
    def munge_socket(self) -> Path:
        """The socket of munged."""
        return self.directory / "munge.sock"

    @property
    def database_socket(self) -> Path:
        """The socket of MariaDB."""
        return self.directory / "db" / "s.sock"


def checked_directory(directory: Path) -> Path:
    """The directory as an absolute path.

    Raises:
        RequestError: SLURM cannot run in such a path.
    """
    directory = directory.expanduser().resolve()
    message = ""
    if not PLAIN_PATH.fullmatch(str(directory)):
        message = "SLURM accepts only paths of letters, digits and . _ + - /; choose another --dir"
    elif (length := len(str(directory))) > LONGEST_PATH:
        message = (
            f"a path of {length} characters is too long for sockets (maximum {LONGEST_PATH}); choose a shorter --dir"
        )
    if message:
        raise RequestError(f"{directory}: {message}", setting="dir", path=directory)
    return directory


def new_site(directory: Path, *, nodes: int) -> Site:
    """The site of a new cluster: this user, free ports, and job ids that no recent cluster has used."""
    try:
        loopback_only = socket.gethostbyname(socket.gethostname()) == "127.0.0.1"
    except OSError:
        loopback_only = False
    return Site(
        directory=directory,
        user=user(),
        first_port=_free_ports(nodes + 2),
        first_job_id=random.randrange(1000, 60000),
        loopback_only=loopback_only,
    )


def user() -> str:
    """The name of the user who runs this process.

    Raises:
        RequestError: the user id has no name, which SLURM needs.
    """
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise RequestError(f"user id {os.getuid()} has no user name on this machine, and SLURM needs one") from None


def _free_ports(count: int) -> int:
    """The first of `count` free ports in a row."""
    for _ in range(200):
        first, held = random.randrange(PORTS.start, PORTS.stop - count), []
        try:
            for port in range(first, first + count):
                held.append(socket.socket())
                held[-1].bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for taken in held:
                taken.close()
    raise ClusterError(f"no {count} consecutive free ports between {PORTS.start} and {PORTS.stop}")


def answers(door: Path | int) -> bool:
    """Return True if a process accepts connections at this socket or port of this machine."""
    family = socket.AF_INET if isinstance(door, int) else socket.AF_UNIX
    with socket.socket(family) as client:
        return client.connect_ex(("127.0.0.1", door) if isinstance(door, int) else str(door)) == 0
