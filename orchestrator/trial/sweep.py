"""A sweep is a value: its trials, and the overrides of each. Written once as `sweep.json`."""

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from iwm_core.config import RuntimeConfig
from orchestrator.trial.value import Trial, canonical_json

Scalar = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class Resources(RuntimeConfig):
    """Where and how a trial runs; not part of its identity."""

    slots: int = 2  # local launcher: trials at once, under one root
    gpus: int = -1  # local launcher: GPUs of this machine, dealt out to the slots in turn; -1: all that are visible
    group_writable: bool = False  # the files of the trial can be written by the group
    # Restarts that did not move the checkpoint, per cause; preemptions are free.
    lost_retries: int = 3  # the worker vanished, its node failed, its time ran out
    oom_retries: int = 1  # it was killed, as happens where memory is short
    error_retries: int = 0  # it raised, or ended with an exit code other than 0
    # SLURM; empty or 0: the site's default.
    partition: str = ""
    qos: str = ""
    account: str = ""
    constraint: str = ""
    exclude: str = ""  # nodes to keep away from
    time_limit_min: int = 60
    signal_before_s: int = 90  # how long before the time limit a trial receives the signal to checkpoint
    nodes: int = 1
    gpus_per_node: int = -1  # -1: one, or none where device is cpu
    cpus_per_gpu: int = 0  # per task where there is no GPU
    mem_gb: float = 0.0  # per node
    max_parallel: int = 0  # jobs of one array at once; 0: as many as there is room for
    trials_per_gpu: int = 1  # this many trials share a job
    setup: str = ""  # shell lines before Python, such as `module load cuda`
    python: str = ""  # shell command that starts Python, such as `apptainer exec image.sif python`
    srun_args: str = ""  # further options of srun, such as `--container-image=...`
    sbatch_args: str = ""  # further options of sbatch, such as `--reservation=spring --gres=gpu:a100:1`

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> "Resources":
        """The resources of a lease, which another version may have written: unknown keys are ignored."""
        known = {spec.name for spec in fields(cls)}
        return cls(**{key: value for key, value in raw.items() if key in known})


@dataclass(frozen=True)
class Cell:
    """One trial of a sweep. `overrides` holds one value per axis, in the order of the sweep's axes."""

    trial: Trial
    overrides: Mapping[str, Scalar]
    resources: Resources = field(default_factory=Resources)


@dataclass(frozen=True)
class Sweep:
    """Named cells along axes. `fixed` are the overrides that hold for every cell."""

    name: str
    axes: tuple[str, ...]
    cells: tuple[Cell, ...]
    fixed: tuple[str, ...] = ()
    description: str = ""

    @property
    def id(self) -> str:
        """The name and a hash of the trials: submitting the same sweep twice gives one sweep."""
        identity = canonical_json([[cell.trial.id, dict(cell.overrides)] for cell in self.cells])
        return f"{self.name}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"

    def to_record(self, *, t: float) -> "SweepRecord":
        """The record of the sweep, submitted at time `t` (unix seconds)."""
        members = tuple(Member(cell.trial.id, dict(cell.overrides)) for cell in self.cells)
        return SweepRecord(
            id=self.id, name=self.name, axes=self.axes, t=t, trials=members, fixed=self.fixed, about=self.description
        )


@dataclass(frozen=True)
class Member:
    """A trial's place in a sweep."""

    id: str
    overrides: Mapping[str, Scalar]


@dataclass(frozen=True, kw_only=True)
class SweepRecord:
    """The content of `sweep.json`."""

    id: str
    name: str
    about: str = ""
    axes: tuple[str, ...]
    fixed: tuple[str, ...] = ()
    t: float
    trials: tuple[Member, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "SweepRecord":
        """The record of a `sweep.json`."""
        return cls(
            id=raw["id"],
            name=raw["name"],
            axes=tuple(raw["axes"]),
            t=raw["t"],
            trials=tuple(Member(item["id"], item["overrides"]) for item in raw["trials"]),
            fixed=tuple(raw.get("fixed", ())),
            about=raw.get("about", ""),
        )


EVALUATE = "evaluate"
"""The verb; prefix of the names of its sweeps."""
PARENT, PROTOCOL = "pretrain", "evaluate.protocol"


def command(record: SweepRecord, overrides: Mapping[str, Scalar]) -> str:
    """The shell command that submits this one trial again; for an evaluation, its `iwm evaluate` command."""
    fixed = {key: value for key, _, value in (text.partition("=") for text in record.fixed)}
    parent = overrides.get(PARENT, fixed.get(PARENT))
    if record.name.startswith(f"{EVALUATE}-") and parent:
        rest = {axis: level for axis, level in overrides.items() if axis not in (PARENT, PROTOCOL)}
        words = [EVALUATE, str(parent), *([str(overrides[PROTOCOL])] if PROTOCOL in overrides else [])]
    else:
        rest, words = overrides, ["submit", record.name, *record.fixed]
    return shlex.join(["iwm", *words, *(f"{axis}={spelled(level)}" for axis, level in rest.items())])


def spelled(value: Scalar) -> str:
    """A value in Hydra's grammar; a float in the fewest digits that restore it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value) if isinstance(value, float) else str(value)
