"""Starting trials on SLURM: claims first, then one array per resource class, then a record of every job.

    ask (sbatch --test-only) -> claim -> batch.json -> sbatch -> `submitted` under each claim

Killed between any two of these, nothing is lost and nothing doubled: a job carries the token of its claims in its name
and its environment, so `slurm_jobs` finds a job that nobody recorded (it is adopted) and claims that no job came
of (they are claimed again). A job whose token is not the newest claim's ends at once.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory

from iwm_core.training.place import check_batch
from orchestrator.errors import LaunchError, RefusedError
from orchestrator.host import slurm
from orchestrator.host.locks import holding
from orchestrator.host.progress import track
from orchestrator.host.slurm import Answer
from orchestrator.launching.batch import GUARD, ArraySubmission, by_class, cut, ranks, sbatch_parameters
from orchestrator.launching.leases import claim, new_token, write_trial
from orchestrator.records import journal
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.trial.events import Claimed, Submitted, Withdrawn
from orchestrator.trial.launchers import SLURM, TOKEN
from orchestrator.trial.sweep import Cell, Resources

WRITERS = 16
"""Threads that wait for the disk side by side: a claim is durable before its job exists."""
NEVER = 1_000_000
"""submitit counts time-outs and gives up; our budgets are in `Resources`."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A trial that is to be started. `claim` wins the right to, under a token, or finds (None) that it is not ours."""

    folder: TrialFolder
    resources: Resources
    claim: Callable[[str], Claimed | None]


@dataclass(frozen=True)
class Array:
    """What sbatch started."""

    job_id: str
    trial_ids: tuple[str, ...]


def submit_slurm(layout: Layout, cells: Sequence[Cell], *, name: str) -> list[Array]:
    """Claims these trials and submits them.

    Raises:
        RefusedError: SLURM does not take them; their claims were withdrawn.
        LaunchError: SLURM is not here, or does not answer.
    """
    return start(layout, [_fresh(layout, cell) for cell in cells], name=name)


def _fresh(layout: Layout, cell: Cell) -> Wanted:
    def win(token: str) -> Claimed | None:
        folder = write_trial(layout, cell.trial)
        return claim(folder, resources=cell.resources, token=token, launcher=SLURM)

    return Wanted(folder=layout.trial(cell.trial.id), resources=cell.resources, claim=win)


def start(layout: Layout, wanted: Sequence[Wanted], *, name: str, avoid: Sequence[str] = ()) -> list[Array]:
    """Submits what is wanted, one array per resource class and at most as long as the site allows.

    Raises:
        RefusedError, LaunchError: the claims of the array that was refused were withdrawn; those before it stand.
    """
    if not wanted:
        return []
    size = slurm.array_size(site())
    started = []
    for resources, items in by_class(wanted, resources=lambda item: item.resources).items():
        for part in cut(items, size * resources.trials_per_gpu):
            if array := _start(layout, part, resources=resources, name=name, avoid=avoid):
                started.append(array)
    return started


def site() -> dict[str, str]:
    """The site's configuration.

    Raises:
        LaunchError: SLURM is not here, or does not answer.
    """
    answer = slurm.run(slurm.config_command())
    if not answer.ok:
        raise LaunchError(f"SLURM does not answer: {answer.words}")
    return slurm.parse_config(answer.out)


def _start(
    layout: Layout, items: Sequence[Wanted], *, resources: Resources, name: str, avoid: Sequence[str]
) -> Array | None:
    token = new_token()
    with holding(layout.batch(token) / "submitting.lock"), ThreadPoolExecutor(WRITERS) as writers:
        claimed = zip(items, writers.map(lambda item: item.claim(token), items), strict=True)
        told = track(claimed, "claiming trials", total=len(items))
        claims = {item.folder.id: won for item, won in told if won}
        if not claims:
            return None
        tasks = tuple(tuple(part) for part in cut(list(claims), resources.trials_per_gpu))
        batch = ArraySubmission(token=token, name=name, resources=resources, tasks=tasks)
        journal.replace_file(layout.batch(token) / "batch.json", batch.to_json())
        try:
            job_ids = _sbatch(layout, batch, avoid=avoid)
        except RefusedError as refused:
            for trial_id, won in claims.items():
                journal.record(layout.trial(trial_id), Withdrawn(claim=won.claim, reason=str(refused)))
            raise
        jobs = {trial_id: job_id for job_id, ids in zip(job_ids, tasks, strict=True) for trial_id in ids}
        list(writers.map(lambda key: _note(layout.trial(key), claims[key], job_id=jobs[key]), jobs))
    return Array(job_ids[0].partition("_")[0], tuple(jobs))


def _note(folder: TrialFolder, won: Claimed, *, job_id: str) -> None:
    journal.record(folder, Submitted(claim=won.claim, job_id=job_id))


def check_classes(layout: Layout, cells: Sequence[Cell], *, name: str) -> None:
    """Asks SLURM whether it would take these trials, one job of each resource class, before anything is claimed.

    Raises:
        ConfigError: a batch that cannot be dealt out to the ranks that are asked for.
        RefusedError: it would not; its own words.
        LaunchError: SLURM is not here, or does not answer.
    """
    for cell in cells:
        check_batch(cell.trial.config.train, ranks=ranks(cell.resources))
    for resources in by_class(cells, resources=lambda cell: cell.resources):
        check(layout, resources, name=name)


def check(layout: Layout, resources: Resources, *, name: str) -> None:
    """Asks SLURM whether it would take a job of this class, now or once a node that is down or drained is back.

    Raises:
        RefusedError: it would not; its own words.
        LaunchError: it does not answer.
    """
    batch = ArraySubmission(token=new_token(), name=name, resources=resources, tasks=(("",),))
    with TemporaryDirectory(prefix="iwm-") as folder:
        script = Path(folder) / "job.sh"
        script.write_text(_executor(layout, batch, folder=Path(folder)).script())
        with outside_of_a_job():
            answer = slurm.run(slurm.test_command(script))
    if not answer.ok and slurm.is_for_now(answer, states=slurm.run(slurm.node_states_command()).out):
        return
    _raise_unless(answer)


def _raise_unless(answer: Answer) -> None:
    if answer.ok:
        return
    if slurm.is_refusal(answer) and answer.code != 127:
        raise RefusedError(f"SLURM does not take the job: {answer.words}")
    raise LaunchError(f"SLURM does not answer: {answer.words}")


def _executor(layout: Layout, batch: ArraySubmission, *, folder: Path, avoid: Sequence[str] = ()):  # noqa: ANN202
    """submitit's executor; a class of its own, so that submitit is only loaded where something is submitted.

    Raises:
        LaunchError: SLURM is not here.
    """
    import submitit

    if not shutil.which("srun"):
        raise LaunchError("SLURM is not installed here: there is no srun on the PATH; try --launcher local")

    class Executor(submitit.SlurmExecutor):
        def script(self) -> str:
            return self._make_submission_file_text(self._submitit_command_str, "")

    python = batch.resources.python or quote(sys.executable)
    executor = Executor(folder=folder, max_num_timeout=NEVER, python=f"{GUARD} {python}")
    executor.update_parameters(
        **sbatch_parameters(batch, root=str(layout.root), claim_variable=TOKEN, avoid=avoid),
    )
    return executor


def _sbatch(layout: Layout, batch: ArraySubmission, *, avoid: Sequence[str]) -> list[str]:
    """Submits the batch; the job id of each task.

    Raises:
        RefusedError: SLURM did not take it.
        LaunchError: it did not answer: the jobs may exist, and will be adopted.
    """
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    with outside_of_a_job():
        try:
            executor = _executor(layout, batch, folder=layout.batch(batch.token), avoid=avoid)
            with executor.batch():
                jobs = [executor.submit(callable_of(layout, ids)) for ids in batch.tasks]
        except (FailedJobError, FailedSubmissionError, RuntimeError) as error:
            _raise_unless(Answer(code=1, out="", err=_last_words(str(error))))
            raise
    return [str(job.job_id) for job in jobs]


def _last_words(text: str) -> str:
    """What sbatch said, without the traceback around it."""
    said = [line for line in text.splitlines() if line.startswith("sbatch: ")]
    return "\n".join(said or text.strip().splitlines()[-1:])


def callable_of(layout: Layout, trial_ids: Sequence[str]) -> Callable[[], str]:
    """What a task runs: it knows folders and nothing else."""
    from orchestrator.worker.workers import Pack, Worker

    workers = tuple(Worker(layout.trial(trial_id).path) for trial_id in trial_ids)
    return workers[0] if len(workers) == 1 else Pack(workers)


def adopt(layout: Layout, batch: ArraySubmission, *, job_id: str) -> None:
    """Gives a task whose submitter died in between what it waits for, up to a minute after its start: its pickle."""
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


def read_batch(layout: Layout, token: str) -> ArraySubmission | None:
    """The batch of this token, if it came as far as being written."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        return ArraySubmission.from_json((layout.batch(token) / "batch.json").read_bytes())
    return None


@contextlib.contextmanager
def outside_of_a_job() -> Iterator[None]:
    """Submitting from within a job (an `salloc` session) must not hand that job's own limits on."""
    inside = {key: os.environ[key] for key in os.environ if key.startswith("SLURM_") and key != "SLURM_CONF"}
    for key in inside:
        del os.environ[key]
    try:
        yield
    finally:
        os.environ.update(inside)
