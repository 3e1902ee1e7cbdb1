"""A batch: the value that describes one sbatch call. Its trials share a resource class and fit the site's array size.

    cells -> resource classes -> arrays of at most MaxArraySize tasks -> tasks of `trials_per_gpu` trials each

`batch.json` is written before sbatch is called, and the job's name ends with the batch's token. So the trials of a job
are known even if its submitter dies before it records the job.
"""

import contextlib
import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from orchestrator.errors import RequestError
from orchestrator.records.layout import Layout
from orchestrator.trial.launchers import TOKEN
from orchestrator.trial.sweep import Resources

GUARD = """bash -c 'trap "" USR2 TERM; exec "$@"' iwm"""
"""Starts Python with the checkpoint signals ignored: until it installs its handlers, they would end it."""
OURS = {
    **{name: f"resources.{name}" for name in ("partition", "qos", "account", "constraint", "nodes", "exclude")},
    "gpus-per-node": "resources.gpus_per_node",
    "ntasks": "resources.nodes and resources.gpus_per_node",
    "ntasks-per-node": "resources.gpus_per_node",
    "cpus-per-task": "resources.cpus_per_gpu",
    "mem": "resources.mem_gb",
    "time": "resources.time_limit_min",
    "signal": "resources.signal_before_s",
    **dict.fromkeys(("array", "job-name", "chdir", "output", "error", "open-mode", "requeue", "no-requeue"), ""),
    **dict.fromkeys(("clusters", "wrap", "wait", "test-only", "parsable", "quiet", "help", "usage", "version"), ""),
}
"""Options of sbatch that `sbatch_args` must not set, and the settings that do; empty: nothing may."""
Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class ArraySubmission:
    """One submission. `tasks` holds, for each index of the array, the ids of the trials that the task runs."""

    token: str
    name: str
    resources: Resources
    tasks: tuple[tuple[str, ...], ...]

    @property
    def job_name(self) -> str:
        """The readable name that squeue shows, followed by the token."""
        return f"{self.name}-{self.token}"

    def to_json(self) -> bytes:
        """The content of `batch.json`."""
        return json.dumps(asdict(self)).encode()

    @property
    def index(self) -> Mapping[str, int]:
        """The array index of each trial."""
        return {trial_id: index for index, ids in enumerate(self.tasks) for trial_id in ids}

    @classmethod
    def from_json(cls, text: bytes) -> "ArraySubmission":
        """The batch of a `batch.json`."""
        raw = json.loads(text)
        return cls(
            token=raw["token"],
            name=raw["name"],
            resources=Resources.of(raw["resources"]),
            tasks=tuple(tuple(ids) for ids in raw["tasks"]),
        )


def read_batch(layout: Layout, token: str) -> ArraySubmission | None:
    """The batch with this token; None where its file is missing or torn."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        return ArraySubmission.from_json((layout.batch(token) / "batch.json").read_bytes())
    return None


def by_class(items: Iterable[Item], *, resources: Callable[[Item], Resources]) -> dict[Resources, list[Item]]:
    """The items of each resource class, in their order."""
    classes: dict[Resources, list[Item]] = {}
    for item in items:
        classes.setdefault(resources(item), []).append(item)
    return classes


def cut(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """The items in parts of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def sbatch_parameters(batch: ArraySubmission, *, root: str, avoid: Sequence[str] = ()) -> dict[str, Any]:
    """The parameters of submitit's SLURM executor. `avoid` lists nodes that failed before.

    Raises:
        RequestError: `srun_args` or `sbatch_args` cannot be split into words.
    """
    asked = batch.resources
    gpus, tasks = gpus_per_node(asked), tasks_per_node(asked)
    kill = ["--kill-on-bad-exit=1"] if ranks(asked) > 1 else []
    exclude = ",".join(dict.fromkeys(filter(None, (asked.exclude, *avoid))))
    wanted = {
        **{key: getattr(asked, key) for key in ("partition", "qos", "account", "constraint", "nodes")},
        "job_name": batch.job_name,
        "exclude": exclude,
        "time": asked.time_limit_min,
        "ntasks_per_node": tasks,
        "gpus_per_node": gpus,
        "cpus_per_task": asked.cpus_per_gpu * max(1, gpus // tasks),
        "mem": f"{round(asked.mem_gb * 1024)}M" if asked.mem_gb else "",
        "array_parallelism": asked.max_parallel or len(batch.tasks),
        "srun_args": [*kill, *words(asked.srun_args, key="srun_args")],
    }
    return {
        **{key: value for key, value in wanted.items() if value},
        "wckey": None,  # submitit sends its own name
        "signal_delay_s": asked.signal_before_s,
        "setup": setup_lines(asked, token=batch.token),
        "additional_parameters": {"requeue": True, "chdir": root, **options(asked.sbatch_args)},
    }


def setup_lines(resources: Resources, *, token: str) -> list[str]:
    """The lines of the batch script before srun.

    srun passes on all of the script's environment, also where the site's or the user's sbatch exports nothing, and
    takes the CPUs per task from the script's job, as it did before 22.05.
    """
    return [
        f"export {TOKEN}={token}",
        "export SLURM_EXPORT_ENV=ALL",
        '[ -z "$SLURM_CPUS_PER_TASK" ] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK',
        *(["export MASTER_ADDR=$(hostname)"] if ranks(resources) > 1 else []),  # runs on the node of rank 0
        *resources.setup.splitlines(),
    ]


def gpus_per_node(resources: Resources) -> int:
    """The GPUs to request; -1 means one, or none for a trial on the CPU."""
    if resources.gpus_per_node >= 0:
        return resources.gpus_per_node
    return 0 if resources.device == "cpu" else 1


def tasks_per_node(resources: Resources) -> int:
    """One process per GPU, each a rank of the trial; a single process without GPUs or where trials share the job."""
    return max(1, gpus_per_node(resources)) if resources.trials_per_gpu == 1 else 1


def ranks(resources: Resources) -> int:
    """The number of processes that train one trial together."""
    return resources.nodes * tasks_per_node(resources) if resources.trials_per_gpu == 1 else 1


def options(text: str) -> dict[str, str | bool]:
    """`--reservation=spring --exclusive` as {"reservation": "spring", "exclusive": True}.

    Raises:
        RequestError: a word does not have that form, or is one of `OURS` or short for one (sbatch takes `--arr`).
    """
    found: dict[str, str | bool] = {}
    for word in words(text, key="sbatch_args"):
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name:
            raise RequestError(
                f"resources.sbatch_args: '{word}' does not have the form --name=value or --name",
                setting="resources.sbatch_args",
                value=word,
            )
        for option, setting in OURS.items():
            if len(name) > 1 and option.startswith(name.replace("_", "-")):  # one letter is short for several
                instead = f"set {setting} instead" if setting else "it is set for every job"
                raise RequestError(
                    f"resources.sbatch_args must not contain --{option} ('{word}'): {instead}",
                    setting="resources.sbatch_args",
                    value=word,
                )
        found[name] = value if equals else True
    return found


def words(text: str, *, key: str) -> list[str]:
    """The words of a shell line.

    Raises:
        RequestError: a quote is not closed.
    """
    try:
        return shlex.split(text)
    except ValueError as error:
        raise RequestError(f"resources.{key}: {error} in {text!r}", setting=f"resources.{key}", value=text) from error
