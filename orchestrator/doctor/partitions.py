"""SLURM's nodes and partitions. Pure: the output of `scontrol` and `sinfo` to values, values to findings."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from orchestrator.doctor.finding import Finding, Verdict
from orchestrator.errors import RequestError

PARTITIONS_COMMAND = ("scontrol", "show", "partition", "--oneliner")
NODES_COMMAND = ("sinfo", "--noheader", "--format", "%D|%T|%G")
SHORT_MIN = 5
"""Minutes: at or below this limit of a partition, the packaged time limit and warning time do not fit."""
USABLE = ("idle", "mixed", "allocated", "completing", "planned", "reserved")
_GRES = re.compile(r"gpu(?::([A-Za-z][\w.-]*))?:(\d+)")
_TIME = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)")

slurm_finding = partial(Finding, "SLURM")


@dataclass(frozen=True, kw_only=True)
class Partition:
    """One partition. `max_minutes` is None without a limit; `grace_s` is 0 without a grace time."""

    name: str
    is_default: bool
    state: str
    max_minutes: int | None
    preempt_mode: str
    grace_s: int
    priority_tier: int
    nodes: int
    gpus: int


@dataclass(frozen=True)
class Nodes:
    """Nodes in one state, as `sinfo` groups them. A `*` at the end of a state marks nodes that do not answer."""

    count: int
    state: str
    gres: str

    @property
    def usable(self) -> bool:
        """True if a job may start there, now or later."""
        return self.state.startswith(USABLE) and not self.state.endswith("*")


def parse_partitions(text: str) -> list[Partition]:
    """One partition per line of `Key=value` words."""
    lines = [[word.partition("=") for word in line.split()] for line in text.splitlines()]
    tables = [{key: value for key, _, value in words} for words in lines]
    return [
        Partition(
            name=words["PartitionName"],
            is_default=words.get("Default") == "YES",
            state=words.get("State", "UP"),
            max_minutes=minutes(words.get("MaxTime", "UNLIMITED")),
            preempt_mode=words.get("PreemptMode", "OFF"),
            grace_s=int(words.get("GraceTime", "0")),
            priority_tier=int(words.get("PriorityTier", "1")),
            nodes=int(words.get("TotalNodes", "0")),
            gpus=sum(map(int, re.findall(r"gres/gpu=(\d+)", words.get("TRES", "")))),
        )
        for words in tables
        if words.get("PartitionName")
    ]


def minutes(text: str) -> int | None:
    """`1-02:30:00` as 1590; None for UNLIMITED, INFINITE and NONE."""
    match = _TIME.fullmatch(text)
    if not match:
        return None
    days, hours, mins, seconds = (int(part or 0) for part in match.groups())
    return days * 1440 + hours * 60 + mins + (seconds > 0)


def parse_nodes(text: str) -> list[Nodes]:
    """One group of nodes per line."""
    rows = (line.strip().split("|", 2) for line in text.splitlines())
    return [Nodes(int(row[0]), row[1], row[2]) for row in rows if len(row) == 3 and row[0].isdigit()]


def node_findings(groups: Sequence[Nodes]) -> list[Finding]:
    """The findings on the nodes and their GPUs."""
    states, gpus = Counter[str](), Counter[str]()
    for group in groups:
        states[group.state] += group.count
        for kind, number in _GRES.findall(group.gres):
            gpus[kind or "gpu"] += int(number) * group.count
    usable = sum(group.count for group in groups if group.usable)
    value = ", ".join(f"{count} {state}" for state, count in states.items()) or "none"
    means = (
        f"{usable} can run jobs" if usable else "no job can start: ask the administrators why the nodes are unavailable"
    )
    has = ", ".join(f"{count} {kind}" for kind, count in gpus.items())
    request = "request them with resources=slurm" if has else "use resources.device=cpu, which requests none"
    return [
        slurm_finding("nodes", Verdict.OK if usable else Verdict.FAILED, value, means),
        slurm_finding("GPUs", Verdict.OK if has else Verdict.NOT_THERE, has or "none", request),
    ]


def partition_finding(
    partition: Partition, *, others: Sequence[Partition], preempt_type: str, kill_wait_s: int, refusal: str = ""
) -> Finding:
    """The finding on one partition; `refusal` is sbatch's answer to a minimal job there, empty if it accepts it."""
    limit = timedelta(minutes=partition.max_minutes) if partition.max_minutes is not None else None
    preempted = is_preemptible(partition, others=others, preempt_type=preempt_type)
    mode = f"preempted by {partition.preempt_mode}, grace {partition.grace_s} s" if preempted else "never preempted"
    value = f"{partition.nodes} nodes, {partition.gpus} GPUs, {f'limit {limit}' if limit else 'no time limit'}, {mode}"
    verdict, means = _judge(partition, preempted=preempted, kill_wait_s=kill_wait_s, refusal=refusal)
    return slurm_finding(f"partition {partition.name}{'*' if partition.is_default else ''}", verdict, value, means)


def is_preemptible(partition: Partition, *, others: Sequence[Partition], preempt_type: str) -> bool:
    """Return True if a job there may be preempted; where QOS decides instead of priorities, if its mode allows it."""
    if preempt_type.endswith("none") or partition.preempt_mode in ("OFF", "DISABLED"):
        return False
    if preempt_type.endswith("partition_prio"):
        return any(other.priority_tier > partition.priority_tier for other in others)
    return True


def _judge(partition: Partition, *, preempted: bool, kill_wait_s: int, refusal: str) -> tuple[Verdict, str]:
    """The verdict and its meaning; the most serious problem first."""
    modes, limit = set(partition.preempt_mode.split(",")), partition.max_minutes
    if refusal:
        return Verdict.WARNING, f"sbatch refuses a plain job there ({refusal}): choose another, or name an account"
    if partition.state != "UP":
        return Verdict.WARNING, f"it is {partition.state}: jobs are refused or wait until the site opens it"
    if limit is not None and limit <= SHORT_MIN:
        means = f"set resources.time_limit_min={limit} and a lower resources.signal_before_s; trials resume after it"
        return Verdict.WARNING, means
    if preempted and "CANCEL" in modes:
        means = "preemption ends the job: run `iwm serve`, `status` or `sync` to resubmit the trial"
        return Verdict.WARNING, means
    seconds, means = partition.grace_s + kill_wait_s, "trials run until their time limit"
    if preempted and modes & {"SUSPEND", "GANG"}:
        means = "a preempted trial is suspended in place, keeps its memory and continues by itself"
    elif preempted:
        means = f"a preempted trial has at least {seconds} s to checkpoint, and its job is queued again"
    return Verdict.OK, means


@dataclass(frozen=True, kw_only=True)
class CanaryRequest:
    """Partitions (empty: the default one), overrides of the trial, and the longest wait at each stage."""

    partitions: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    sweeps: Path | None = None
    wait_s: float = 600.0


def choose(partitions: Sequence[Partition], *, names: Sequence[str]) -> list[Partition]:
    """The partitions with these names; without names, the default one.

    Raises:
        RequestError: there is no such partition.
    """
    by_name = {one.name: one for one in partitions}
    for name in names:
        if name not in by_name:
            raise RequestError.unknown("partition", name, choices=by_name)
    chosen = [by_name[name] for name in dict.fromkeys(names)] or [one for one in partitions if one.is_default]
    if not chosen:
        message = f"there is no default partition; name one with --partition: {', '.join(by_name)}"
        raise RequestError(message, setting="partition", choices=by_name)
    return chosen
