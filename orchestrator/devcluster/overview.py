"""The state of a cluster: its daemons, and its nodes and jobs by sinfo and squeue. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

NODES_COMMAND = ("sinfo", "-hN", "-o", "%N|%R|%T|%C|%G|%E")
JOBS_COMMAND = ("squeue", "-hr", "-o", "%i|%P|%T|%r|%N")


@dataclass(frozen=True)
class Node:
    """One node; `cpus` counts allocated/idle/other/total."""

    name: str
    partitions: tuple[str, ...]
    state: str
    cpus: str
    gres: str
    reason: str


@dataclass(frozen=True)
class Job:
    """One job or array task that is queued, runs, or has ended recently."""

    id: str
    partition: str
    state: str
    reason: str
    nodes: str


@dataclass(frozen=True)
class Overview:
    """Daemons with their pids (None: down), nodes and jobs (empty if slurmctld is down)."""

    directory: Path
    daemons: Mapping[str, int | None]
    nodes: tuple[Node, ...] = ()
    jobs: tuple[Job, ...] = ()

    @property
    def down(self) -> tuple[str, ...]:
        """The daemons that are down."""
        return tuple(name for name, pid in self.daemons.items() if pid is None)

    @property
    def busy(self) -> tuple[str, ...]:
        """The reasons why the cluster is not idle."""
        return (
            *(f"{name} is down" for name in self.down),
            *(() if self.nodes else ("slurmctld does not answer",)),
            *(f"job {job.id} is {job.state}" for job in self.jobs),
            *(f"{node.name} is {node.state}" for node in self.nodes if node.state != "idle"),
        )

    def to_dict(self) -> dict[str, Any]:
        """For --json."""
        return {**asdict(self), "directory": str(self.directory), "down": list(self.down)}


def to_row(item: Node | Job) -> dict[str, str]:
    """A row of a table."""
    return {key: " ".join(value) if isinstance(value, tuple) else value for key, value in asdict(item).items()}


def parse_nodes(text: str) -> tuple[Node, ...]:
    """Parse the output of NODES_COMMAND, which has a line for each node in each partition."""
    lines = [line.split("|", 5) for line in text.splitlines()]
    partitions: dict[str, list[str]] = {}
    for name, partition, *_ in lines:
        partitions.setdefault(name, []).append(partition)
    rows = {name: (state, cpus, gres, reason) for name, _, state, cpus, gres, reason in lines}
    return tuple(Node(name, tuple(sorted(partitions[name])), *row) for name, row in rows.items())


def parse_jobs(text: str) -> tuple[Job, ...]:
    """Parse the output of JOBS_COMMAND."""
    return tuple(Job(*line.split("|", 4)) for line in text.splitlines())


def is_up(state: str) -> bool:
    """Return True if a node answers and may run jobs: `idle`, `mixed`, `allocated`, but not `down*` or `unknown`."""
    return bool(state) and not any(sign in state for sign in ("unk", "down", "*"))


def is_out(state: str) -> bool:
    """Return True if a node accepts no jobs until it is resumed or returns: `down`, `drained`, `draining`, `fail`."""
    return any(sign in state for sign in ("down", "drain", "fail"))


def error_summary(log: str) -> str:
    """A daemon's reason for its end: the last lines with "fatal" or "error", or else the last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if "fatal" in line.lower() or "error" in line.lower()]
    return "; ".join(errors[-3:] or lines[-1:]) or "its log is empty"
