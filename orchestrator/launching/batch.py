"""A batch: what one sbatch starts, as a value. Trials of one resource class, cut to the site's array size. Pure.

    cells -> resource classes -> arrays of at most MaxArraySize tasks -> tasks of `trials_per_gpu` trials each

`batch.json` is written before sbatch is called, so whoever finds a job with the batch's token in its name knows which
trials it runs, even if the submitter died before it could say so.
"""

import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from orchestrator.errors import RequestError
from orchestrator.trial.sweep import Resources

GUARD = """bash -c 'trap "" USR2 TERM; exec "$@"' iwm"""
"""Python is deaf to the signals that ask for a checkpoint until it can understand them: before, they would end it."""
Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class ArraySubmission:
    """One submission. `tasks` holds, for each index of the array, the ids of the trials that this task runs."""

    token: str
    name: str
    resources: Resources
    tasks: tuple[tuple[str, ...], ...]

    @property
    def job_name(self) -> str:
        """What squeue shows: readable, and ending with the token."""
        return f"{self.name}-{self.token}"

    def to_json(self) -> bytes:
        """The content of `batch.json`."""
        return json.dumps({**asdict(self), "resources": asdict(self.resources)}).encode()

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


def sbatch_parameters(
    batch: ArraySubmission, *, root: str, claim_variable: str, avoid: Sequence[str] = ()
) -> dict[str, Any]:
    """What submitit's SLURM executor is told. `avoid` are nodes that failed before.

    Raises:
        RequestError: `srun_args` or `sbatch_args` cannot be split into words.
    """
    asked = batch.resources
    gpus, tasks = gpus_per_node(asked), tasks_per_node(asked)
    together = ["--kill-on-bad-exit=1"] if ranks(asked) > 1 else []
    meeting = ["export MASTER_ADDR=$(hostname)"] if ranks(asked) > 1 else []  # the first node runs this, and rank 0
    exclude = ",".join(dict.fromkeys(filter(None, (asked.exclude, *avoid))))
    wanted = {
        "job_name": batch.job_name,
        "partition": asked.partition,
        "qos": asked.qos,
        "account": asked.account,
        "constraint": asked.constraint,
        "exclude": exclude,
        "time": asked.time_limit_min,
        "nodes": asked.nodes,
        "ntasks_per_node": tasks,
        "gpus_per_node": gpus,
        "cpus_per_task": asked.cpus_per_gpu * max(1, gpus // tasks),
        "mem": f"{round(asked.mem_gb * 1024)}M" if asked.mem_gb else "",
        "array_parallelism": asked.max_parallel or len(batch.tasks),
        "srun_args": [*together, *words(asked.srun_args, key="srun_args")],
    }
    return {
        **{key: value for key, value in wanted.items() if value},
        "signal_delay_s": asked.signal_before_s,
        "setup": [f"export {claim_variable}={batch.token}", *meeting, *asked.setup.splitlines()],
        "additional_parameters": {"requeue": True, "chdir": root, **options(asked.sbatch_args)},
    }


def gpus_per_node(resources: Resources) -> int:
    """-1 stands for one GPU, or none where the trial trains on the CPU."""
    if resources.gpus_per_node >= 0:
        return resources.gpus_per_node
    return 0 if resources.device == "cpu" else 1


def tasks_per_node(resources: Resources) -> int:
    """One process a GPU, each a rank of the trial; one alone where there is no GPU, or where trials share the job."""
    return max(1, gpus_per_node(resources)) if resources.trials_per_gpu == 1 else 1


def ranks(resources: Resources) -> int:
    """How many processes train one trial together."""
    return resources.nodes * tasks_per_node(resources) if resources.trials_per_gpu == 1 else 1


def options(text: str) -> dict[str, str | bool]:
    """`--reservation=spring --exclusive` as {"reservation": "spring", "exclusive": True}.

    Raises:
        RequestError: a word that is not of that form.
    """
    found: dict[str, str | bool] = {}
    for word in words(text, key="sbatch_args"):
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name:
            raise RequestError(f"resources.sbatch_args: '{word}' is not of the form --name=value or --name")
        found[name] = value if equals else True
    return found


def words(text: str, *, key: str) -> list[str]:
    """The words of a shell line.

    Raises:
        RequestError: a quote that does not end.
    """
    try:
        return shlex.split(text)
    except ValueError as error:
        raise RequestError(f"resources.{key}: {error} in {text!r}") from error


def places(batch: ArraySubmission) -> Mapping[str, int]:
    """The array index of each trial."""
    return {trial_id: index for index, ids in enumerate(batch.tasks) for trial_id in ids}
