"""One attempt at one trial, started by the local launcher, SLURM, Hydra or `iwm train`.

    check the lease -> resume from the newest checkpoint -> train, journal every event -> finished, preempted or failed

An evaluation (`pretrain`) starts from the final checkpoint of its parent, in the folder beside it, or from a timm
model. An attempt leaves without a trace when it may not run: the trial is finished or cancelled, its fencing token is
not the newest lease's, or another worker of the trial is alive on this machine. Under SLURM the newest start wins: the
older worker, whose node SLURM has given up, sees the newer journal before its next step and stops.
"""

import contextlib
import logging
import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iwm_core.errors import CheckpointError, CoreError, DetailedError
from iwm_core.events import Evaluated, Event, Failed, Finished, Preempted, RunCallbacks, Sampled, Started
from orchestrator.errors import IwmError
from orchestrator.host import provenance
from orchestrator.host.locks import Lock, holding
from orchestrator.host.system_metrics import Sampler
from orchestrator.records import journal
from orchestrator.records.checkpoints import is_trusted
from orchestrator.records.journal import Journal
from orchestrator.records.layout import TrialFolder
from orchestrator.trial.events import Claimed
from orchestrator.trial.launchers import SLOT, TOKEN
from orchestrator.trial.lifecycle import Journals, State, TrialStatus, fold, newest_claim
from orchestrator.trial.sweep import Resources
from orchestrator.trial.value import Trial

if TYPE_CHECKING:
    from iwm_core.evaluation.trial import Parent
    from iwm_core.training.distributed import World

log = logging.getLogger(__name__)

CANCELLATION_CHECK_S = 2.0
"""Seconds between two checks for a cancellation or a hold; a newer attempt is checked for before every step."""
CODE = Path(__file__).parents[2]
CANCELLED = "cancelled"
HELD = "held"


class Superseded(Exception):  # noqa: N818 - a turn of events, not an error
    """A newer attempt of this trial has started, so readers ignore what this one writes from now on."""


class LeaseLost(DetailedError):  # noqa: N818
    """The attempt may not run; `value` is the trial's state or the newer token, `path` the lock that is taken."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """The launcher's job that runs this attempt."""

    job_id: str = ""
    restart: int = 0
    token: str = ""
    slot_lock: str = ""
    node: str = ""
    in_slurm: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Job":
        """The job of this process: SLURM's or submitit's local one."""
        array = environ.get("SLURM_ARRAY_JOB_ID")
        slurm = f"{array}_{environ['SLURM_ARRAY_TASK_ID']}" if array else environ.get("SLURM_JOB_ID")
        return cls(
            job_id=slurm or environ.get("SUBMITIT_LOCAL_JOB_ID", ""),
            restart=int(environ.get("SLURM_RESTART_COUNT", "0")),
            token=environ.get(TOKEN, ""),
            slot_lock=environ.get(SLOT, ""),
            node=environ.get("SLURMD_NODENAME", ""),
            in_slurm=bool(slurm),
        )


@dataclass(frozen=True)
class Lease:
    """The right to run a trial: the newest claim, and the trial's journals and status when it was checked."""

    claimed: Claimed
    status: TrialStatus
    journals: Journals


def run_attempt(
    folder: TrialFolder,
    *,
    job: Job,
    should_stop: Callable[[], str | None],
    listen: Callable[[Event], None] = lambda event: None,
    wait_s: float = 10.0,
    world: "World | None" = None,
) -> Finished | Preempted:
    """Runs the trial until it finishes or `should_stop` names a signal; as the first rank where `world` has several.

    Raises:
        LeaseLost: the attempt may not run, and wrote nothing.
        Superseded: a newer attempt took over.
        Exception: any error of training, after it was journalled as `failed`.
    """
    with holding(folder.worker_lock, wait_s=0 if job.in_slurm else wait_s) as alone:
        if not alone and not job.in_slurm:
            raise LeaseLost("another worker of this trial is alive on this host", path=folder.worker_lock)
        lease = check_lease(folder, token=job.token)
        if not job.in_slurm and lease.status.state is State.HELD:  # SLURM itself starts no held job
            raise LeaseLost("the trial is held", value=State.HELD)
        with _in_slot(job.slot_lock, should_stop=should_stop):
            return _Attempt(folder, lease=lease, job=job, should_stop=should_stop, listen=listen, world=world).run()


def check_lease(folder: TrialFolder, *, token: str) -> Lease:
    """Checks that `token` is the newest claim's and that the trial still needs an attempt.

    Raises:
        LeaseLost: one of the two is not so.
    """
    control, journals = journal.read_control(folder), journal.read_journals(folder)
    status, newest = fold(control, journals), newest_claim(control)
    if not newest:
        raise LeaseLost("the trial has no lease")
    if status.state in (State.FINISHED, State.CANCELLED, State.FAILED):
        raise LeaseLost(f"the trial is {status.state}", value=status.state)
    if newest.token != token:
        raise LeaseLost("a newer lease has taken over", value=newest.token)
    return Lease(newest, status, journals)


@contextlib.contextmanager
def _in_slot(path: str, *, should_stop: Callable[[], str | None]) -> Iterator[None]:
    """Waits for the slot's lock (none for an empty path) and holds it, so that workers never outnumber slots."""
    if not path:
        yield
        return
    lock = Lock(Path(path))
    try:
        while not lock.take(wait_s=0.5):
            if should_stop():
                raise LeaseLost("asked to stop while waiting for a slot", path=path)
        yield
    finally:
        lock.close()


class _Attempt:
    """The journal, the checkpoints and the callbacks of one attempt."""

    def __init__(
        self,
        folder: TrialFolder,
        *,
        lease: Lease,
        job: Job,
        should_stop: Callable[[], str | None],
        listen: Callable[[Event], None],
        world: "World | None" = None,
    ) -> None:
        self.folder, self.lease, self.job, self.world = folder, lease, job, world
        self.listen, self._asked_to_stop = listen, should_stop
        self.claim = lease.claimed.claim
        self.number = 1 + max(lease.journals, default=-1)
        self.journal: Journal | None = None
        self.step = self.total_steps = 0
        self._next_check = 0.0
        self._sampler = Sampler()

    def run(self) -> Finished | Preempted:
        try:
            return self._run_trial()
        except (Superseded, LeaseLost, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._journal_failure(error)
            raise
        finally:
            if self.journal:
                self.journal.close()

    def _run_trial(self) -> Finished | Preempted:
        config = Trial.from_json(self.folder.value_file.read_bytes()).config
        from iwm_core.evaluation.trial import examine, total_steps
        from iwm_core.pretrain import train
        from iwm_core.training.checkpoint import CheckpointFolder
        from iwm_core.training.distributed import ALONE

        runtime = Resources.of(self.lease.claimed.resources)
        callbacks = RunCallbacks(on_start=self._open, emit=self.emit, should_stop=self.should_stop)
        checkpoints = CheckpointFolder(
            self.folder.checkpoints,
            attempt=self.number,
            keep=runtime.keep_checkpoints,
            trusted=partial(is_trusted, older=self.lease.status.attempts),
        )
        if not config.pretrain:
            self.total_steps = config.train.steps
            return train(config, runtime, checkpoints=checkpoints, callbacks=callbacks, world=self.world or ALONE)
        parent = parent_in(self.folder.path.with_name(config.parent)) if config.parent else None
        self.total_steps = total_steps(config, parent and parent.config)
        return examine(
            config,
            runtime,
            parent=parent,
            done=recorded(self.lease.journals),
            callbacks=callbacks,
            checkpoints=checkpoints,
            pictures=self.folder.pictures,
        )

    def _open(self, resumed_from_step: int, skipped: list[str], fingerprint: dict[str, Any]) -> None:
        """Creates the journal with its first line, unless it is open.

        An attempt that failed before its first step has no fingerprint, and a `total_steps` of 0.
        """
        if self.journal:
            return
        older_bytes = journal.journal_sizes(self.folder)
        check_lease(self.folder, token=self.job.token)  # again: another attempt may have finished while we loaded
        started = Started(
            attempt=self.number,
            job_id=self.job.job_id,
            restart=self.job.restart,
            host=self.job.node or provenance.host(),
            pid=os.getpid(),
            claim=self.claim,
            resumed_from_step=resumed_from_step,
            total_steps=self.total_steps if fingerprint else 0,
            skipped=skipped,
            older_bytes=older_bytes,
            fingerprint=fingerprint,
            provenance=provenance.provenance(),
        )
        try:
            self.journal = Journal(self.folder.attempt(self.number), attempt=self.number)
        except FileExistsError:
            raise LeaseLost(f"attempt {self.number} started elsewhere at the same moment") from None
        self.emit(started)

    def emit(self, event: Event) -> None:
        """Journals an event, then passes it to the listener."""
        assert self.journal, "the journal opens before the first event"
        self.step = max(self.step, getattr(event, "step", 0), getattr(event, "resumed_from_step", 0))
        self.listen(self.journal.append(event))

    def _journal_failure(self, error: BaseException) -> None:
        """Journals the error; logs it where the journal itself cannot be written."""
        failed = Failed(step=self.step, error=one_line(error) + place(error), traceback=traceback.format_exc())
        try:
            self._open(0, [], {})
            self.emit(failed)
        except OSError as full:
            log.error("cannot journal '%s': %s", failed.error, full)

    def should_stop(self) -> str | None:
        """Returns a signal's name, `cancelled`, `held` or None, also for requests written on another machine."""
        if self.folder.attempt(self.number + 1).exists():
            raise Superseded(f"attempt {self.number + 1} has started")
        if self.journal and (metrics := self._sampler.read()):
            self.emit(Sampled(step=self.step, metrics=metrics))
        asked, now = self._asked_to_stop(), time.monotonic()
        if asked or now < self._next_check:
            return asked
        self._next_check = now + CANCELLATION_CHECK_S
        if journal.is_cancelled(self.folder, claim=self.claim):
            return CANCELLED
        return HELD if not self.job.in_slurm and journal.is_held(self.folder, claim=self.claim) else None


def parent_in(path: Path) -> "Parent":
    """The trial in this folder, as the parent whose weights are evaluated.

    Raises:
        CheckpointError: the folder holds no trial.
    """
    from iwm_core.evaluation.trial import Parent
    from iwm_core.training.checkpoint import CheckpointFolder

    folder = TrialFolder(path)
    if not folder.value_file.exists():
        raise CheckpointError(
            f"pretrain={folder.id}: no such trial in {path.parent}", setting="pretrain", value=folder.id, path=path
        )
    status = fold(journal.read_control(folder), journal.read_journals(folder))
    return Parent(
        config=Trial.from_json(folder.value_file.read_bytes()).config,
        checkpoints=CheckpointFolder(folder.checkpoints, trusted=partial(is_trusted, older=status.attempts)),
        weights_sha256=status.weights_sha256,
    )


def recorded(journals: Journals) -> dict[str, dict[str, float]]:
    """The metrics of each protocol that earlier attempts measured; of several, the lowest attempt's."""
    found: dict[str, dict[str, float]] = {}
    for number in sorted(journals):
        for event in journals[number]:
            if isinstance(event, Evaluated):
                found.setdefault(event.protocol, event.metrics)
    return found


def one_line(error: BaseException) -> str:
    """`ValueError: what went wrong`, on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def place(error: BaseException) -> str:
    """` (iwm_core/pretrain.py:112)`: the innermost line of ours; empty for errors that are addressed to users."""
    if isinstance(error, CoreError | IwmError):
        return ""
    files = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    ours = [(file.relative_to(CODE), line) for file, line in files if file.is_relative_to(CODE)]
    own = [f" ({file}:{line})" for file, line in ours if file.parts[0] in ("iwm_core", "orchestrator")]
    return own[-1] if own else ""
