"""Which processes belong to a cluster, and how they start and end.

A daemon is identified by (pid, start time), so a reused pid is never taken for it, or signalled. Members are found by
their environment, in which daemons carry two variables of ours and job processes SLURM's; their children by descent.
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
    """One process, never a later one that reuses its pid."""

    pid: int
    born: str

    @property
    def alive(self) -> bool:
        """Return True if it runs; a zombie does not."""
        return _stat(self.pid, START_TIME) == self.born

    @classmethod
    def read(cls, path: Path) -> "Identity | None":
        """Read what `write` wrote; None if the file is missing or incomplete."""
        try:
            pid, born = path.read_text().split()
        except (OSError, ValueError):
            return None
        return cls(int(pid), born)

    def write(self, path: Path) -> None:
        """Write it to a file."""
        path.write_text(f"{self.pid} {self.born}\n")


def _stat(pid: int, field: int) -> str | None:
    """One field of /proc/PID/stat after the name; None if the process is dead or a zombie."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[field]


def spawn(command: Sequence[str], *, env: Mapping[str, str], folder: Path, log: Path) -> Identity:
    """Start a daemon in a session of its own and in this folder; a log receives both of its streams."""
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
    """Daemons, steps and job processes of a cluster, or of one daemon; never this process or its ancestors."""
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
    """Processes inside jobs: batch shells, sruns and programs, without SLURM's own daemons and steps."""
    return [
        pid
        for pid in _all_pids()
        if _job_node(variables := _environment(pid), directory) and DAEMON not in variables and _stat(pid, PARENT)
    ]


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _owner(pid: int, directory: Path) -> str | None:
    """The name of the daemon that the process is, or whose job it belongs to."""
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
    """Signal these processes as far as they still exist."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, sent)


def kill(find: Callable[[], list[int]]) -> None:
    """SIGKILL what `find` finds, repeatedly because processes fork meanwhile, until it finds none and all are dead.

    A process that is ending has no environment, so `find` misses it, although it exists for a moment longer.

    Raises:
        ClusterError: processes outlive SIGKILL; `value` has their pids.
    """
    deadline = time.monotonic() + PATIENCE_S
    sent: set[Identity] = set()
    while left := sorted({*find(), *(one.pid for one in sent if one.alive)}):
        if time.monotonic() > deadline:
            message = f"these processes are still alive {PATIENCE_S} s after SIGKILL: {' '.join(map(str, left))}"
            raise ClusterError(message, value=left)
        sent |= {Identity(pid, _stat(pid, START_TIME) or "") for pid in left}
        send(left, signal.SIGKILL)
        time.sleep(0.02)


def reap(pid: int) -> None:
    """Reap a dead daemon if this process started it."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
