"""What a cluster is doing: its daemons, and what sinfo and squeue say, each a command with its parser. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

NODES_COMMAND = ("sinfo", "-hN", "-o", "%N|%R|%T|%C|%G|%E")
JOBS_COMMAND = ("squeue", "-hr", "-o", "%i|%P|%T|%r|%N")


@dataclass(frozen=True)
class Node:
    """One node; `cpus` are allocated/idle/other/total."""

    name: str
    partitions: tuple[str, ...]
    state: str
    cpus: str
    gres: str
    reason: str

    def to_row(self) -> dict[str, str]:
        """A line of a table."""
        return {**asdict(self), "partitions": " ".join(self.partitions)}


@dataclass(frozen=True)
class Job:
    """One job or array task that has not ended for long."""

    id: str
    partition: str
    state: str
    reason: str
    nodes: str

    def to_row(self) -> dict[str, str]:
        """A line of a table."""
        return asdict(self)


@dataclass(frozen=True)
class Overview:
    """Daemons with their pids (None: down), nodes and jobs (empty where slurmctld is down)."""

    directory: Path
    daemons: Mapping[str, int | None]
    nodes: tuple[Node, ...] = ()
    jobs: tuple[Job, ...] = ()

    @property
    def down(self) -> tuple[str, ...]:
        """The daemons that do not run."""
        return tuple(name for name, pid in self.daemons.items() if pid is None)

    @property
    def busy(self) -> tuple[str, ...]:
        """What keeps the cluster from being idle, a clause each."""
        return (
            *(f"{name} is down" for name in self.down),
            *(() if self.nodes else ("slurmctld does not answer",)),
            *(f"job {job.id} is {job.state}" for job in self.jobs),
            *(f"{node.name} is {node.state}" for node in self.nodes if node.state != "idle"),
        )

    def to_dict(self) -> dict[str, Any]:
        """For --json."""
        return {**asdict(self), "directory": str(self.directory), "down": list(self.down)}


def parse_nodes(text: str) -> tuple[Node, ...]:
    """The answer to NODES_COMMAND: a line for each node in each partition."""
    lines = [line.split("|", 5) for line in text.splitlines()]
    partitions: dict[str, list[str]] = {}
    for name, partition, *_ in lines:
        partitions.setdefault(name, []).append(partition)
    rows = {name: (state, cpus, gres, reason) for name, _, state, cpus, gres, reason in lines}
    return tuple(Node(name, tuple(sorted(partitions[name])), *row) for name, row in rows.items())


def parse_jobs(text: str) -> tuple[Job, ...]:
    """The answer to JOBS_COMMAND."""
    return tuple(Job(*line.split("|", 4)) for line in text.splitlines())


def is_up(state: str) -> bool:
    """Whether a node answers and may run jobs: `idle`, `mixed`, `allocated`, but not `down*` or `unknown`."""
    return bool(state) and not any(sign in state for sign in ("unk", "down", "*"))


def is_out(state: str) -> bool:
    """Whether a node takes no jobs until it is resumed or comes back: `down`, `drained`, `draining`, `fail`."""
    return any(sign in state for sign in ("down", "drain", "fail"))


def complaint(log: str) -> str:
    """What a daemon gave as its reason: the last lines that say fatal or error, or the last line of all."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    blamed = [line for line in lines if "fatal" in line.lower() or "error" in line.lower()]
    return "; ".join(blamed[-3:] or lines[-1:]) or "it said nothing"
