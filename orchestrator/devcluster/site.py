"""Where a cluster lives: its directory, its user and its ports."""

import os
import pwd
import random
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import ClusterError, RequestError

LONGEST_PATH = 70
"""Of the directory: sockets lie deeper, and 108 bytes are all that a unix socket's name may have."""
PLAIN_PATH = re.compile(r"[\w./+-]+", re.ASCII)
PORTS = range(15000, 32000)
"""Below the ephemeral ones, so that no client can sit on one later."""


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


def new_site(directory: Path, *, nodes: int) -> Site:
    """For a new cluster: this user, free ports, and job ids that no older cluster has used lately."""
    return Site(
        directory=directory,
        user=user(),
        first_port=_free_ports(nodes + 2),
        first_job_id=random.randrange(1000, 60000),
        loopback_only=_is_loopback(),
    )


def user() -> str:
    """Who runs this, by the name that SLURM wants."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise RequestError(f"user {os.getuid()} has no name on this machine, and SLURM needs one") from None


def _is_loopback() -> bool:
    """Whether this machine's name means 127.0.0.1."""
    try:
        return socket.gethostbyname(socket.gethostname()) == "127.0.0.1"
    except OSError:
        return False


def _free_ports(count: int) -> int:
    """The first of so many free ports in a row."""
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
    raise ClusterError(f"no {count} free ports in a row between {PORTS.start} and {PORTS.stop}")


def answers(door: Path | int) -> bool:
    """Whether somebody accepts at a socket or port of this machine."""
    family = socket.AF_INET if isinstance(door, int) else socket.AF_UNIX
    with socket.socket(family) as client:
        return client.connect_ex(("127.0.0.1", door) if isinstance(door, int) else str(door)) == 0
