"""Start trials on SLURM: claim them, submit one array per resource class, record every job.

    ask (sbatch --test-only) -> claim -> batch.json -> sbatch -> `submitted` under each claim

A submitter that is killed between any two steps loses and doubles nothing: a job carries the token of its claims in its
name and environment. `slurm_jobs` records a job that its submitter did not, and claims again the trials whose
submission produced no job. A job whose token is not the newest claim's ends at once.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory

from iwm_core.training.place import check_batch
from orchestrator.errors import LaunchError, RefusedError, RequestError
from orchestrator.host import environment, slurm
from orchestrator.host.locks import holding
from orchestrator.host.progress import track
from orchestrator.host.slurm import Answer
from orchestrator.launching.batch import GUARD, ArraySubmission, by_class, cut, ranks, sbatch_parameters
from orchestrator.launching.leases import claim, new_token, write_trial
from orchestrator.records import journal
from orchestrator.records.layout import Layout
from orchestrator.trial.events import Claimed, Submitted, Withdrawn
from orchestrator.trial.launchers import LOCAL, SLURM
from orchestrator.trial.sweep import Cell, Resources

WRITERS = 16
"""Threads that write claims in parallel: each waits for the disk, since a claim is durable before its job exists."""
NEVER = 1_000_000
"""Disables submitit's own limit on time-outs; `Resources` has the retries."""

Claim = Callable[[str, str], Claimed | None]
"""(trial id, token) -> the claim, or None where another process has claimed the trial."""


@dataclass(frozen=True)
class Array:
    """A submitted array."""

    job_id: str
    trial_ids: tuple[str, ...]


def submit_slurm(layout: Layout, cells: Sequence[Cell], *, name: str) -> list[Array]:
    """Claims these trials and submits them.

    Raises:
        RefusedError: SLURM refuses them; their claims were withdrawn.
        LaunchError: SLURM is not installed or does not answer.
    """
    by_id = {cell.trial.id: cell for cell in cells}

    def win(key: str, token: str) -> Claimed | None:
        folder = write_trial(layout, by_id[key].trial)
        return claim(folder, resources=by_id[key].resources, token=token, launcher=SLURM)

    return start(layout, {key: cell.resources for key, cell in by_id.items()}, name=name, win=win)


def start(
    layout: Layout, wanted: Mapping[str, Resources], *, name: str, win: Claim, avoid: Sequence[str] = ()
) -> list[Array]:
    """Claims and submits trials, one array per resource class and at most as long as the site allows.

    Raises:
        RefusedError: SLURM refuses an array, whose claims were withdrawn; earlier arrays stay submitted.
        LaunchError: SLURM is not installed or does not answer.
    """
    if not wanted:
        return []
    answer = slurm.run(slurm.config_command())
    if not answer.ok:
        raise _silence(answer)
    size = slurm.array_size(slurm.parse_config(answer.out))
    parts = [
        (resources, part)
        for resources, ids in by_class(wanted, resources=wanted.__getitem__).items()
        for part in cut(ids, size * resources.trials_per_gpu)
    ]
    started = (_start(layout, ids, resources=each, name=name, win=win, avoid=avoid) for each, ids in parts)
    return [array for array in started if array]


def _start(
    layout: Layout, ids: Sequence[str], *, resources: Resources, name: str, win: Claim, avoid: Sequence[str]
) -> Array | None:
    token = new_token()
    with holding(layout.batch(token) / "submitting.lock"), ThreadPoolExecutor(WRITERS) as writers:
        claimed = zip(ids, writers.map(lambda key: win(key, token), ids), strict=True)
        claims = {key: won for key, won in track(claimed, "claiming trials", total=len(ids)) if won}
        if not claims:
            return None
        tasks = tuple(tuple(part) for part in cut(list(claims), resources.trials_per_gpu))
        batch = ArraySubmission(token=token, name=name, resources=resources, tasks=tasks)
        journal.replace_file(layout.batch(token) / "batch.json", batch.to_json())
        try:
            job_ids = _sbatch(layout, batch, avoid=avoid)
        except RefusedError as refused:
            for key, won in claims.items():
                journal.record(layout.trial(key), Withdrawn(claim=won.claim, reason=str(refused)))
            raise

        def note(key: str) -> None:
            submitted = Submitted(claim=claims[key].claim, job_id=job_ids[batch.index[key]])
            journal.record(layout.trial(key), submitted)

        list(writers.map(note, claims))
    return Array(job_ids[0].partition("_")[0], tuple(claims))


def check_classes(layout: Layout, cells: Sequence[Cell], *, name: str) -> None:
    """Asks SLURM whether it accepts these trials, one job per resource class, before anything is claimed.

    A class is accepted if its jobs can start now, or once a node that is down or drained is back.

    Raises:
        ConfigError: a batch cannot be split evenly over the requested ranks.
        RefusedError: SLURM refuses a class; the message has its own words.
        LaunchError: SLURM is not installed or does not answer.
    """
    for cell in cells:
        check_batch(cell.trial.config.train, ranks=ranks(cell.resources))
    for resources in by_class(cells, resources=lambda cell: cell.resources):
        batch = ArraySubmission(token=new_token(), name=name, resources=resources, tasks=(("",),))
        with TemporaryDirectory(prefix="iwm-") as folder:
            script = Path(folder) / "job.sh"
            script.write_text(_executor(layout, batch, folder=Path(folder)).script())
            with outside_of_a_job():
                answer = slurm.run(slurm.test_command(script))
        if answer.ok or not slurm.is_for_now(answer, states=slurm.run(slurm.node_states_command()).out):
            _raise_unless(answer)


def _raise_unless(answer: Answer) -> None:
    if answer.ok:
        return
    if slurm.is_refusal(answer) and answer.code != 127:
        raise RefusedError(f"SLURM rejects the job: {answer.words}", value=answer.words)
    raise _silence(answer)


def _silence(answer: Answer) -> LaunchError:
    return LaunchError(f"SLURM does not answer: {answer.words}", value=answer.words)


def _executor(layout: Layout, batch: ArraySubmission, *, folder: Path, avoid: Sequence[str] = ()):  # noqa: ANN202
    """submitit's executor; a local subclass, so that submitit is only imported where trials are submitted.

    Raises:
        LaunchError: SLURM is not installed.
    """
    import submitit

    if not shutil.which("srun"):
        raise LaunchError(
            "SLURM is not installed here (no srun on the PATH); try --launcher local",
            setting="launcher",
            value=SLURM,
            choices=[LOCAL],
        )

    class Executor(submitit.SlurmExecutor):
        def script(self) -> str:
            return self._make_submission_file_text(self._submitit_command_str, "")

    python = batch.resources.python or quote(sys.executable)
    executor = Executor(folder=folder, max_num_timeout=NEVER, python=f"{GUARD} {python}")
    executor.update_parameters(
        **sbatch_parameters(batch, root=str(layout.root), avoid=avoid),
    )
    return executor


def _sbatch(layout: Layout, batch: ArraySubmission, *, avoid: Sequence[str]) -> list[str]:
    """Submits the batch and returns the job id of each task.

    Raises:
        RefusedError: SLURM refuses it.
        LaunchError: SLURM does not answer; the jobs may exist, and `slurm_jobs` will find them.
    """
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    with outside_of_a_job():
        try:
            executor = _executor(layout, batch, folder=layout.batch(batch.token), avoid=avoid)
            with executor.batch():
                jobs = [executor.submit(callable_of(layout, ids)) for ids in batch.tasks]
        except (FailedJobError, FailedSubmissionError, RuntimeError) as error:
            lines = str(error).strip().splitlines()  # sbatch's own lines, or the last line of a traceback
            own = [line for line in lines if line.startswith("sbatch: ")] or lines[-1:]
            _raise_unless(Answer(code=1, out="", err="\n".join(own)))
            raise
    return [str(job.job_id) for job in jobs]


def callable_of(layout: Layout, trial_ids: Sequence[str]) -> Callable[[], str]:
    """The callable of a task: a worker, or a pack of workers."""
    from orchestrator.worker.workers import Pack, Worker

    workers = tuple(Worker(layout.trial(trial_id).path) for trial_id in trial_ids)
    return workers[0] if len(workers) == 1 else Pack(workers)


def adopt(layout: Layout, batch: ArraySubmission, *, job_id: str) -> None:
    """Writes the pickle of a task whose submitter died; the task waits for it for up to a minute after its start."""
    from submitit.core.utils import DelayedSubmission, JobPaths

    index = int(job_id.partition("_")[2] or 0)
    paths = JobPaths(layout.batch(batch.token), job_id=job_id)
    if paths.submitted_pickle.exists():
        return
    submission = DelayedSubmission(callable_of(layout, batch.tasks[index]))
    submission.set_timeout(batch.resources.time_limit_min, NEVER)
    aside = paths.submitted_pickle.with_suffix(f".{os.getpid()}")
    submission.dump(aside)
    aside.replace(paths.submitted_pickle)


@contextlib.contextmanager
def outside_of_a_job() -> Iterator[None]:
    """Hides what the caller's shell, or the job around it, says about SLURM's commands.

    Raises:
        RequestError: the shell selects another cluster; jobs there would not be found again.
    """
    for variable in ("SLURM_CLUSTERS", "SBATCH_CLUSTERS"):
        if name := os.environ.get(variable):
            message = f"{variable}={name} selects another cluster, but jobs go to the default one: unset {variable}"
            raise RequestError(message, setting=variable, value=name)
    with environment.changed(dict.fromkeys(os.environ.keys() - slurm.environment(os.environ).keys())):
        yield
