"""Who belongs to a cluster, and how its processes start and end.

A daemon is (pid, start time), so a pid that was given to somebody else is never taken for it, or signalled. Members are
found by their environment, and their children by descent: daemons carry two variables of ours, job processes SLURM's.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import ClusterError

CLUSTER = "IWM_CLUSTER"
DAEMON = "IWM_CLUSTER_DAEMON"
PARENT, START_TIME = 1, 19
"""Fields of /proc/PID/stat after the name."""
PATIENCE_S = 30
PROC = Path("/proc")


@dataclass(frozen=True)
class Identity:
    """One process, never another one that was given its pid later."""

    pid: int
    born: str

    @property
    def alive(self) -> bool:
        """Whether it runs; a zombie does not."""
        return _stat(self.pid, START_TIME) == self.born

    @classmethod
    def read(cls, path: Path) -> "Identity | None":
        """What `write` wrote; None where there is nothing, or half of it."""
        try:
            pid, born = path.read_text().split()
        except (OSError, ValueError):
            return None
        return cls(int(pid), born)

    def write(self, path: Path) -> None:
        """Keeps it in a file."""
        path.write_text(f"{self.pid} {self.born}\n")


def _stat(pid: int, field: int) -> str | None:
    """One field of /proc/PID/stat after the name; None for the dead."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[field]


def spawn(command: Sequence[str], *, env: Mapping[str, str], folder: Path, log: Path) -> Identity:
    """Starts a daemon in a session of its own, in this folder, both its streams added to a log."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawnp(
        "env",
        ["env", "-C", str(folder), *command],
        env,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=(),
        setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGUSR2),
    )
    return Identity(pid, _stat(pid, START_TIME) or "")


def members(directory: Path, *, daemon: str | None = None) -> list[int]:
    """Daemons, steps and job processes of a cluster, or of one daemon of it; never this process or what started it."""
    parents = {pid: int(_stat(pid, PARENT) or 0) for pid in _all_pids()}
    found = {pid for pid in parents if (owner := _owner(pid, directory)) and daemon in (None, owner)}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    ours = os.getpid()
    while ours in parents:
        found.discard(ours)
        ours = parents[ours]
    return sorted(pid for pid in found if parents[pid])


def job_processes(directory: Path) -> list[int]:
    """What runs inside jobs: batch shells, sruns and programs, without SLURM's own daemons and steps."""
    return [
        pid
        for pid in _all_pids()
        if _job_node(variables := _environment(pid), directory) and DAEMON not in variables and _stat(pid, PARENT)
    ]


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _owner(pid: int, directory: Path) -> str | None:
    """The daemon that a process is, or whose job it is."""
    variables = _environment(pid)
    if variables.get(CLUSTER) == str(directory) and variables.get(DAEMON):
        return variables[DAEMON]
    return _job_node(variables, directory)


def _job_node(variables: Mapping[str, str], directory: Path) -> str | None:
    if variables.get("SLURM_CONF") != str(directory / "slurm.conf") or "SLURM_JOB_ID" not in variables:
        return None
    return variables.get("SLURMD_NODENAME")


def _environment(pid: int) -> dict[str, str]:
    try:
        text = (PROC / str(pid) / "environ").read_text(errors="replace")
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in text.split("\0") if "=" in line)


def send(pids: Sequence[int], sent: signal.Signals) -> None:
    """Signals what is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, sent)


def kill(find: Callable[[], list[int]]) -> None:
    """SIGKILLs what `find` finds, again for what forked meanwhile, until it finds nothing and all of that is dead.

    A process that is ending has no environment any more, so nobody finds it, and yet it is there for a moment.
    """
    deadline = time.monotonic() + PATIENCE_S
    sent: set[Identity] = set()
    while left := sorted({*find(), *(one.pid for one in sent if one.alive)}):
        if time.monotonic() > deadline:
            raise ClusterError(f"these processes outlive SIGKILL for {PATIENCE_S} s: {' '.join(map(str, left))}")
        sent |= {Identity(pid, _stat(pid, START_TIME) or "") for pid in left}
        send(left, signal.SIGKILL)
        time.sleep(0.02)


def reap(pid: int) -> None:
    """Clears away a dead daemon where this process started it."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
