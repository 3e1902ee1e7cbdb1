"""What a job runs: a picklable callable that holds one path, so that nothing it needs is older than the trial's folder.

Signals come first: from the moment the job calls us, SIGTERM and USR2 only raise a flag, while torch still imports.
Under SLURM an attempt that was asked to stop puts its job back into the queue itself, where SLURM has not done so: a
job that simply ended would count as complete, and never start again.
"""

import logging
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iwm_core.training.place import Place
from orchestrator.host.signals import stop_flag
from orchestrator.records import journal
from orchestrator.records.layout import TrialFolder
from orchestrator.worker import ranks

GPU = "IWM_GPU"
"""Environment variable: the GPU that the local launcher gave this worker, empty for none."""
PACKED = "IWM_PACKED"
"""Environment variable: set where several workers share a job, which then is not one worker's to requeue."""
GIVES_WAY = frozenset({"RUNNING", "SUSPENDED"})
"""States of a job that nobody has ended yet; in every other SLURM has already decided what becomes of it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Worker:
    """Runs the trial in `path` until it is finished or the job is asked to stop."""

    path: Path

    def __call__(self) -> str:
        """How the attempt ended: an event's name, or why there was nothing to do."""
        place = Place() if PACKED in os.environ else Place.of()
        if GPU in os.environ:  # submitit's local executor hides them all
            os.environ["CUDA_VISIBLE_DEVICES"] = os.environ[GPU]
        with stop_flag() as stop:
            from orchestrator.worker.attempt import CANCELLED, Job, LeaseLost, Superseded, run_attempt

            folder, job = TrialFolder(self.path), Job.from_environment()
            prepare(folder, job_id=job.job_id if job.in_slurm else "", restart=job.restart, rank=place.rank)
            if place.rank:
                return ranks.follow_claim(folder, token=job.token, place=place, should_stop=stop)
            try:
                with ranks.leading(place) as world:
                    ended = run_attempt(folder, job=job, should_stop=stop, world=world)
            except (LeaseLost, Superseded) as leave:
                log.info("leaving: %s", leave)
                return f"left: {leave}"
            if job.in_slurm and ended.name == "preempted" and getattr(ended, "signal", "") != CANCELLED:
                requeue(job.job_id)
            return ended.name

    def checkpoint(self, *arguments: Any) -> Any:
        """What submitit asks for where a signal comes after it has read us and before it calls us: the same again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@dataclass(frozen=True)
class Pack:
    """Several workers in one job, each a process of its own: one that crashes leaves its neighbours alone."""

    workers: tuple[Worker, ...]

    def __call__(self) -> str:
        """How each ended; a signal reaches all processes of a job, so they hear it themselves.

        Raises:
            RuntimeError: a worker ended in an error, after all have ended.
        """
        if Place.of().rank:
            return "left: the first task of the job runs its trials"
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

    def checkpoint(self, *arguments: Any) -> Any:
        """As a worker's."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _spawn(worker: Worker) -> "subprocess.Popen[bytes]":
    """A worker of its own, deaf to signals until it can understand them."""
    deaf = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGUSR2)}
    try:
        command = [sys.executable, "-m", "orchestrator.worker", str(worker.path)]
        return subprocess.Popen(command, env={**os.environ, PACKED: "1"})
    finally:
        for number, handler in deaf.items():
            signal.signal(number, handler)


def _watch(worker: Worker, process: "subprocess.Popen[bytes]") -> int:
    """Waits for a worker; its exit code. Its job may go on for hours, so a death without a word is named at once."""
    if code := process.wait():
        try:
            _name_the_dead(TrialFolder(worker.path), pid=process.pid, code=code)
        except OSError as error:
            log.warning("trial %s ended with %d, which cannot be written down: %s", worker.path.name, code, error)
    return code


def _name_the_dead(folder: TrialFolder, *, pid: int, code: int) -> None:
    from orchestrator.records.scan import read_status
    from orchestrator.trial.events import Cause, Lost

    status = read_status(folder)
    newest = status.attempts[-1] if status.attempts else None
    if not newest or newest.pid != pid or newest.end:
        return
    killed = code == -signal.SIGKILL
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    reason = f"its worker {how}" + (", as happens where memory is short" if killed else "")
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
    """Permissions as the newest claim wants them; in a SLURM job also a log of this rank of this attempt."""
    from orchestrator.trial.lifecycle import newest_claim

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
    """Puts this job back into the queue; False where SLURM would not, or has decided already.

    The signals that end a job in its grace period would end `scontrol`, too, which inherits our deafness.
    """
    from orchestrator.host import slurm

    if os.environ.get(PACKED):
        return False
    for number in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    said = slurm.run(slurm.state_command(job_id)).out
    state = slurm.parse_state(said)
    if state not in GIVES_WAY or not _is_this_start(said):
        log.info("job %s is %s: SLURM decides what becomes of it", job_id, state or "unknown")
        return False
    answer = slurm.run(slurm.requeue_command(job_id))
    log.info(
        "job %s requeued" if answer.ok else "job %s was not requeued: %s", *[job_id, answer.words][: 2 - answer.ok]
    )
    return answer.ok


def _is_this_start(said: str) -> bool:
    """Whether SLURM speaks of us: it may have started the job elsewhere, or given its id to another one."""
    from orchestrator.host import slurm
    from orchestrator.worker.attempt import Job

    job = Job.from_environment()
    return job.token in said and slurm.parse_restarts(said) == job.restart


def main() -> None:
    """`python -m orchestrator.worker TRIAL_FOLDER`"""
    Worker(Path(sys.argv[1]))()
