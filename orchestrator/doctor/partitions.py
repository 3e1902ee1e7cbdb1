"""What a partition offers to a sweep. Pure: what `scontrol` and `sinfo` print to values, values to findings."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.doctor.finding import Finding, Verdict
from orchestrator.errors import RequestError

PARTITION = "partition"
SHORT_MIN = 5
"""Minutes: a partition's limit at which the packaged time limit and warning time do not fit."""
USABLE = ("idle", "mixed", "allocated", "completing", "planned", "reserved")
_GRES = re.compile(r"gpu(?::([A-Za-z][\w.-]*))?:(\d+)")
_TIME = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)")


@dataclass(frozen=True, kw_only=True)
class Partition:
    """One partition; `max_minutes` is None where it has no limit, `grace_s` a least time, 0 for none."""

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
    """Some nodes in one state, as `sinfo` groups them. A state such as `idle*` means that they do not answer."""

    count: int
    state: str
    gres: str

    @property
    def usable(self) -> bool:
        """Whether a job may start there, now or later."""
        return self.state.startswith(USABLE) and not self.state.endswith("*")


def partitions_command() -> list[str]:
    """Every partition that this user may see."""
    return ["scontrol", "show", "partition", "--oneliner"]


def parse_partitions(text: str) -> list[Partition]:
    """One partition per line of `Key=value` words."""
    lines = [[word.partition("=") for word in line.split()] for line in text.splitlines()]
    tables = [{key: value for key, _, value in words} for words in lines]
    return [_partition(words) for words in tables if words.get("PartitionName")]


def _partition(words: dict[str, str]) -> Partition:
    return Partition(
        name=words["PartitionName"],
        is_default=words.get("Default") == "YES",
        state=words.get("State", "UP"),
        max_minutes=minutes(words.get("MaxTime", "UNLIMITED")),
        preempt_mode=words.get("PreemptMode", "OFF"),
        grace_s=int(words.get("GraceTime", "0")),
        priority_tier=int(words.get("PriorityTier", "1")),
        nodes=int(words.get("TotalNodes", "0")),
        gpus=_gpus(words.get("TRES", "")),
    )


def minutes(text: str) -> int | None:
    """`1-02:30:00` as 1590; None for UNLIMITED, INFINITE and NONE."""
    match = _TIME.fullmatch(text)
    if not match:
        return None
    days, hours, mins, seconds = (int(part or 0) for part in match.groups())
    return days * 1440 + hours * 60 + mins + (seconds > 0)


def _gpus(tres: str) -> int:
    match = re.search(r"gres/gpu=(\d+)", tres)
    return int(match[1]) if match else 0


def nodes_command() -> list[str]:
    """Nodes counted by state and GPUs."""
    return ["sinfo", "--noheader", "--format", "%D|%T|%G"]


def parse_nodes(text: str) -> list[Nodes]:
    """One group of nodes per line."""
    rows = (line.strip().split("|", 2) for line in text.splitlines())
    return [Nodes(int(row[0]), row[1], row[2]) for row in rows if len(row) == 3 and row[0].isdigit()]


def node_findings(groups: Iterable[Nodes], *, subject: str) -> list[Finding]:
    """How many nodes there are to run on, and their GPUs."""
    groups = list(groups)
    states = Counter[str]()
    gpus = Counter[str]()
    for group in groups:
        states[group.state] += group.count
        for kind, number in _GRES.findall(group.gres):
            gpus[kind or "gpu"] += int(number) * group.count
    usable = sum(group.count for group in groups if group.usable)
    shown = ", ".join(f"{count} {state}" for state, count in states.items()) or "none"
    nodes = Finding(
        subject=subject,
        name="nodes",
        verdict=Verdict.OK if usable else Verdict.FAILED,
        value=shown,
        means=f"{usable} can run jobs" if usable else "no job can start: ask the site why its nodes are away",
    )
    has = ", ".join(f"{count} {kind}" for kind, count in gpus.items())
    means = "ask for them with resources=slurm" if has else "use resources.device=cpu, which asks for none"
    verdict = Verdict.OK if has else Verdict.NOT_THERE
    return [nodes, Finding(subject=subject, name="GPUs", verdict=verdict, value=has or "none", means=means)]


def partition_finding(
    partition: Partition,
    *,
    others: Sequence[Partition],
    preempt_type: str,
    kill_wait_s: int,
    refusal: str = "",
    subject: str,
) -> Finding:
    """What it means to run there; `refusal` is what sbatch said when it was asked for a minute of it."""
    limit = "no time limit" if partition.max_minutes is None else f"limit {_duration(partition.max_minutes)}"
    preempted = is_preemptible(partition, others=others, preempt_type=preempt_type)
    mode = f"preempted by {partition.preempt_mode}, grace {partition.grace_s} s" if preempted else "never preempted"
    verdict, means = _judge(partition, preempted=preempted, kill_wait_s=kill_wait_s, refusal=refusal)
    return Finding(
        subject=subject,
        name=f"{PARTITION} {partition.name}{'*' if partition.is_default else ''}",
        verdict=verdict,
        value=f"{partition.nodes} nodes, {partition.gpus} GPUs, {limit}, {mode}",
        means=means,
    )


def is_preemptible(partition: Partition, *, others: Sequence[Partition], preempt_type: str) -> bool:
    """Whether a job there may have to give way; where not priorities but QOS decide, whether its mode allows it."""
    if preempt_type.endswith("none") or partition.preempt_mode in ("OFF", "DISABLED"):
        return False
    if preempt_type.endswith("partition_prio"):
        return any(other.priority_tier > partition.priority_tier for other in others)
    return True


def _judge(partition: Partition, *, preempted: bool, kill_wait_s: int, refusal: str) -> tuple[Verdict, str]:
    """The gravest thing first."""
    if refusal:
        return Verdict.WARNING, f"sbatch refuses a plain job there ({refusal}): choose another, or name an account"
    if partition.state != "UP":
        return Verdict.WARNING, f"it is {partition.state}: jobs are refused or wait until the site opens it"
    if partition.max_minutes is not None and partition.max_minutes <= SHORT_MIN:
        return (
            Verdict.WARNING,
            f"ask for resources.time_limit_min={partition.max_minutes} and a resources.signal_before_s below it; a"
            " trial goes on from its checkpoint after every limit",
        )
    if preempted:
        return _judge_preemption(partition, kill_wait_s=kill_wait_s)
    return Verdict.OK, "trials run until their time limit"


def _judge_preemption(partition: Partition, *, kill_wait_s: int) -> tuple[Verdict, str]:
    modes = set(partition.preempt_mode.split(","))
    if "CANCEL" in modes:
        return (
            Verdict.WARNING,
            "a preempted job ends for good: the trial is submitted again when `iwm serve`, `status` or `sync` looks",
        )
    if modes & {"SUSPEND", "GANG"}:
        return Verdict.OK, "a preempted trial is suspended in place, keeps its memory and goes on by itself"
    seconds = partition.grace_s + kill_wait_s
    return Verdict.OK, f"a preempted trial has at least {seconds} s to checkpoint, and its job is queued again"


def _duration(total: int) -> str:
    days, rest = divmod(total, 1440)
    hours, mins = divmod(rest, 60)
    parts = [f"{number} {unit}" for number, unit in ((days, "d"), (hours, "h"), (mins, "min")) if number]
    return " ".join(parts) or "0 min"


@dataclass(frozen=True, kw_only=True)
class CanaryRequest:
    """Partitions (none: the default one), what their trials are like, and how long each step of the way may take."""

    partitions: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    sweeps: Path | None = None
    wait_s: float = 600.0


def choose(partitions: Sequence[Partition], *, names: Sequence[str]) -> list[Partition]:
    """The partitions of these names, the default one where none is named.

    Raises:
        RequestError: there is no such partition.
    """
    by_name = {one.name: one for one in partitions}
    for name in names:
        if name not in by_name:
            raise RequestError.unknown("partition", name, choices=by_name)
    if names:
        return [by_name[name] for name in dict.fromkeys(names)]
    default = [one for one in partitions if one.is_default]
    if not default:
        raise RequestError(f"no partition is the default one; name one with --partition: {', '.join(by_name)}")
    return default
