"""The callable that a job runs, and the other ranks beside it.

A `Worker` pickles to one path, so that a queued job depends on nothing older than the trial's folder. Signal handlers
come first: SIGTERM and USR2 only raise a flag while torch still imports. Under SLURM, an attempt that was asked to stop
requeues its job unless SLURM has done so: a job that simply ended would count as complete and never start again.

With several ranks, the first runs the attempt: lease, journal, checkpoints, evaluation, requeueing. The others read the
trial, wait to be called, compute its steps, and pass on the signals they receive (`Agreement` of `iwm_core`). Where the
first rank trains nothing (the trial is finished, or is an evaluation), it never calls them.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iwm_core.config import RuntimeConfig, TrialConfig
from iwm_core.events import RunCallbacks
from iwm_core.training.place import Place
from orchestrator.host import slurm
from orchestrator.host.signals import stop_flag
from orchestrator.records import journal
from orchestrator.records.layout import TrialFolder
from orchestrator.records.scan import read_status
from orchestrator.trial.events import Cause, Claimed, Lost
from orchestrator.trial.lifecycle import newest_claim
from orchestrator.trial.sweep import Resources
from orchestrator.trial.value import Trial

if TYPE_CHECKING:
    from iwm_core.training.distributed import World

GPU = "IWM_GPU"
"""Environment variable: the GPU that the local launcher gave this worker, empty for none."""
PACKED = "IWM_PACKED"
"""Environment variable: set where several workers share a job, which a single worker then must not requeue."""
GIVES_WAY = frozenset({"RUNNING", "SUSPENDED"})
"""Job states in which a worker requeues its own job; in every other, SLURM has already decided what happens next."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Worker:
    """Runs the trial in `path` until it is finished or the job is asked to stop."""

    path: Path

    def __call__(self) -> str:
        """Returns the name of the attempt's last event, or why the worker left."""
        place = Place() if PACKED in os.environ else Place.of()
        if GPU in os.environ:  # submitit's local executor hides all GPUs
            os.environ["CUDA_VISIBLE_DEVICES"] = os.environ[GPU]
        with stop_flag() as stop:
            from orchestrator.worker.attempt import CANCELLED, Job, LeaseLost, Superseded, run_attempt

            folder, job = TrialFolder(self.path), Job.from_environment()
            prepare(folder, job_id=job.job_id if job.in_slurm else "", restart=job.restart, rank=place.rank)
            if place.rank:
                return _follow_claim(folder, token=job.token, place=place, should_stop=stop)
            try:
                with leading(place) as world:
                    ended = run_attempt(folder, job=job, should_stop=stop, world=world)
            except (LeaseLost, Superseded) as leave:
                log.info("leaving: %s", leave)
                return f"left: {leave}"
            if job.in_slurm and ended.name == "preempted" and getattr(ended, "signal", "") != CANCELLED:
                requeue(job.job_id)
            return ended.name

    def checkpoint(self: "Worker | Pack", *arguments: Any) -> Any:
        """Called by submitit for a signal between unpickling and the call: submits the same worker again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@dataclass(frozen=True)
class Pack:
    """Several workers in one job, each in its own process, so that a crash leaves the others running."""

    workers: tuple[Worker, ...]

    def __call__(self) -> str:
        """Returns how many workers ended; SLURM signals every process of a job, so each receives signals itself.

        Raises:
            RuntimeError: a worker ended in an error. Raised after all have ended.
        """
        if Place.of().rank:
            return "idle: the first task of the job runs its trials"
        with stop_flag():
            from orchestrator.worker.attempt import Job

            processes = [_spawn(worker) for worker in self.workers]
            with ThreadPoolExecutor(len(processes)) as watchers:
                codes = list(watchers.map(_watch, self.workers, processes))
            stopped = [worker for worker in self.workers if _was_asked_to_stop(worker)]
            if stopped:
                requeue(Job.from_environment().job_id)
        failed = [worker.path.name for worker, code in zip(self.workers, codes, strict=True) if code]
        if failed and not stopped:
            raise RuntimeError(f"{len(failed)} of {len(codes)} trials of this job ended in an error: {failed}")
        return f"{len(codes) - len(stopped)} of {len(codes)} ended"

    checkpoint = Worker.checkpoint


def _spawn(worker: Worker) -> "subprocess.Popen[bytes]":
    """Starts a worker's process, which ignores SIGTERM and USR2 until its handlers are installed."""
    deaf = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGUSR2)}
    try:
        command = [sys.executable, "-m", "orchestrator.worker", str(worker.path)]
        return subprocess.Popen(command, env={**os.environ, PACKED: "1"})
    finally:
        for number, handler in deaf.items():
            signal.signal(number, handler)


def _watch(worker: Worker, process: "subprocess.Popen[bytes]") -> int:
    """Waits for a worker and returns its exit code; records a crash at once, since the job may run on for hours."""
    if code := process.wait():
        try:
            _record_crash(TrialFolder(worker.path), pid=process.pid, code=code)
        except OSError as error:
            log.warning("trial %s ended with %d, which cannot be recorded: %s", worker.path.name, code, error)
    return code


def _record_crash(folder: TrialFolder, *, pid: int, code: int) -> None:
    status = read_status(folder)
    newest = status.attempts[-1] if status.attempts else None
    if not newest or newest.pid != pid or newest.end:
        return
    killed = code == -signal.SIGKILL
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    reason = f"its worker {how}" + (", possibly for lack of memory" if killed else "")
    cause = Cause.KILLED if killed else Cause.ERROR
    journal.record(
        folder, Lost(claim=newest.claim, attempt=newest.number, reason=reason, cause=cause, node=newest.host)
    )


def _was_asked_to_stop(worker: Worker) -> bool:
    from orchestrator.worker.attempt import CANCELLED

    journals = journal.read_journals(TrialFolder(worker.path))
    last = journals[max(journals)][-1:] if journals else []
    return any(event.name == "preempted" and getattr(event, "signal", "") != CANCELLED for event in last)


def prepare(folder: TrialFolder, *, job_id: str, restart: int, rank: int = 0) -> None:
    """Sets the umask that the newest claim asks for and, given a job id, redirects output to this rank's log files."""
    claim = newest_claim(journal.read_control(folder))
    if claim and claim.resources.get("group_writable"):
        os.umask(0o002)
    if job_id:
        folder.logs.mkdir(parents=True, exist_ok=True)
        name = f"{job_id}-r{restart}" + (f"-rank{rank}" if rank else "")
        for stream, kind in ((sys.stdout, "out"), (sys.stderr, "err")):
            stream.flush()
            file = os.open(folder.logs / f"{name}.{kind}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            os.dup2(file, stream.fileno())
            os.close(file)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")


def requeue(job_id: str) -> bool:
    """Requeues this job; returns False where SLURM refuses or has already decided what happens to the job.

    SIGTERM and USR2 are ignored from here on, also by `scontrol`, which a job's grace period would end otherwise.
    """
    from orchestrator.worker.attempt import Job

    if os.environ.get(PACKED):
        return False
    for number in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    shown, job = slurm.run(slurm.state_command(job_id)).out, Job.from_environment()
    state = slurm.parse_state(shown)
    is_this_start = job.token in shown and slurm.parse_restarts(shown) == job.restart
    if state not in GIVES_WAY or not is_this_start:  # SLURM started the job elsewhere, or reused its id
        log.info("job %s is %s: SLURM decides what happens to it", job_id, state or "unknown")
        return False
    answer = slurm.run(slurm.requeue_command(job_id))
    log.info("job %s %s", job_id, "requeued" if answer.ok else f"was not requeued: {answer.words}")
    return answer.ok


def leading(place: Place) -> contextlib.AbstractContextManager["World | None"]:
    """Joins the other ranks as the first of them; yields None, and loads no torch, where there is one rank."""
    if place.ranks == 1:
        return contextlib.nullcontext()
    from iwm_core.training.distributed import joined

    return joined(place)


def follow(config: TrialConfig, runtime: RuntimeConfig, *, place: Place, should_stop: Callable[[], str | None]) -> str:
    """Trains beside the first rank, if that calls, and waits for its end; returns what this rank did.

    Raises:
        CoreError, RuntimeError: this rank failed while the first rank still runs.
    """
    from iwm_core import pretrain
    from iwm_core.training.distributed import joined

    with joined(place) as world:
        if not world.is_called():
            return "idle: the first rank has nothing to train"
        try:
            pretrain.follow(config, runtime, callbacks=RunCallbacks(should_stop=should_stop), world=world)
        except (RuntimeError, ValueError) as error:
            if not world.is_over():
                raise
            log.info("the first rank has ended: %s", error)
        world.wait_for_the_end()
    return "followed"


def _follow_claim(folder: TrialFolder, *, token: str, place: Place, should_stop: Callable[[], str | None]) -> str:
    """Follows the trial in `folder` with the resources of the claim that has this token."""
    claims = [event for event in journal.read_control(folder) if isinstance(event, Claimed) and event.token == token]
    if not claims:
        return "stopped: the trial has no lease with this job's token"
    config = Trial.from_json(folder.value_file.read_bytes()).config
    return follow(config, Resources.of(claims[-1].resources), place=place, should_stop=should_stop)
