"""One attempt of one trial, whoever started it: the local launcher, SLURM or `iwm train`.

    right to run? -> resume from the newest checkpoint -> train, journal every event -> finished, preempted or failed

An evaluation (`pretrain`) goes on from the final checkpoint of its parent, which lies beside it, or from a timm model.
An attempt leaves without a trace where it has no right to run: the trial is finished or cancelled, the token it carries
is not the newest claim's, or another worker of the trial is alive in this machine's slots. Under SLURM the last start
wins instead: the older worker, whose node SLURM has given up, sees the newer journal before its next step and stops.
"""

import logging
import os
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iwm_core.config import TrialConfig
from iwm_core.errors import CheckpointError, CoreError
from iwm_core.events import Evaluated, Event, Failed, Finished, Preempted, Sampled, Started
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
from orchestrator.trial.lifecycle import Journals, State, fold, newest_claim
from orchestrator.trial.sweep import Resources
from orchestrator.trial.value import Trial

if TYPE_CHECKING:
    from iwm_core.evaluation.trial import Parent
    from iwm_core.training.checkpoint import CheckpointFolder
    from iwm_core.training.distributed import World

log = logging.getLogger(__name__)

LOOK_S = 2.0
"""How often an attempt looks whether it was cancelled; for a newer attempt it looks before every step."""
CODE = Path(__file__).parents[2]
CANCELLED = "cancelled"
HELD = "held"


class Superseded(Exception):  # noqa: N818 - a turn of events, not an error
    """A newer attempt of this trial has started: whatever this one would write is not read any more."""


class LeaseLost(Exception):  # noqa: N818
    """The attempt leaves; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """How the launcher knows this attempt."""

    job_id: str = ""
    restart: int = 0
    token: str = ""
    slot_lock: str = ""
    node: str = ""
    in_slurm: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Job":
        """The job around this process: SLURM's or submitit's local one."""
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


def run_attempt(
    folder: TrialFolder,
    *,
    job: Job,
    should_stop: Callable[[], str | None],
    listen: Callable[[Event], None] = lambda event: None,
    wait_s: float = 10.0,
    world: "World | None" = None,
) -> Finished | Preempted:
    """Runs the trial to its end, or to a request to stop; as the first rank of `world`, where there are others.

    Raises:
        LeaseLost: nothing was done.
        Superseded: a newer attempt took over.
        Exception: whatever training raised, after it was journalled as `failed`.
    """
    with holding(folder.worker_lock, wait_s=0 if job.in_slurm else wait_s) as alone:
        if not alone and not job.in_slurm:
            raise LeaseLost("another worker of this trial is alive on this host")
        claim = check_right(folder, token=job.token)
        if not job.in_slurm and journal.is_held(folder, claim=claim.claim):  # SLURM starts nothing that is held there
            raise LeaseLost("the trial is held")
        slot = _take_slot(job.slot_lock, should_stop=should_stop)
        try:
            return _Attempt(folder, claim=claim, job=job, should_stop=should_stop, listen=listen, world=world).run()
        finally:
            if slot:
                slot.close()


def check_right(folder: TrialFolder, *, token: str) -> Claimed:
    """The claim that this attempt runs under.

    Raises:
        LeaseLost: there is none, it is another's, or the trial needs no attempt.
    """
    control = journal.read_control(folder)
    status = fold(control, journal.read_journals(folder))
    newest = newest_claim(control)
    if not newest:
        raise LeaseLost("nobody claimed this trial")
    if status.state in (State.FINISHED, State.CANCELLED, State.FAILED):
        raise LeaseLost(f"the trial is {status.state}")
    if newest.token != token:
        raise LeaseLost("a newer claim has taken over")
    return newest


def _take_slot(path: str, *, should_stop: Callable[[], str | None]) -> Lock | None:
    """Waits for the local slot, so that there are never more workers than slots."""
    if not path:
        return None
    lock = Lock(Path(path))
    while not lock.take(wait_s=0.5):
        if should_stop():
            lock.close()
            raise LeaseLost("asked to stop while waiting for a slot")
    return lock


class _Attempt:
    """The journal, the checkpoints and the loop of one attempt, tied together."""

    def __init__(
        self,
        folder: TrialFolder,
        *,
        claim: Claimed,
        job: Job,
        should_stop: Callable[[], str | None],
        listen: Callable[[Event], None],
        world: "World | None" = None,
    ) -> None:
        self.folder, self.claim, self.job, self.world = folder, claim, job, world
        self.listen, self._asked_to_stop = listen, should_stop
        self.runtime = Resources.of(claim.resources)
        self.number = 1 + max(journal.attempt_numbers(folder), default=-1)
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
        self.total_steps = config.train.steps
        return self._evaluate(config) if config.pretrain else self._train(config)

    def _evaluate(self, config: TrialConfig) -> Finished | Preempted:
        from iwm_core.evaluation.trial import examine, total_steps

        parent = parent_in(self.folder.path.with_name(config.parent)) if config.parent else None
        self.total_steps = total_steps(config, parent and parent.config)
        return examine(
            config,
            self.runtime,
            parent=parent,
            done=recorded(journal.read_journals(self.folder)),
            emit=self.emit,
            should_stop=self.should_stop,
            on_start=self._open,
            checkpoints=self._checkpoints(),
            pictures=self.folder.pictures,
        )

    def _checkpoints(self) -> "CheckpointFolder":
        """This trial's own."""
        from iwm_core.training.checkpoint import CheckpointFolder

        older = fold(journal.read_control(self.folder), journal.read_journals(self.folder)).attempts
        return CheckpointFolder(
            self.folder.checkpoints,
            attempt=self.number,
            keep=self.runtime.keep_checkpoints,
            trusted=lambda step, attempt: is_trusted(step, attempt, older=older),
        )

    def _train(self, config: TrialConfig) -> Finished | Preempted:
        from iwm_core.pretrain import train
        from iwm_core.training.distributed import ALONE

        return train(
            config,
            self.runtime,
            checkpoints=self._checkpoints(),
            emit=self.emit,
            should_stop=self.should_stop,
            on_start=self._open,
            world=self.world or ALONE,
        )

    def _open(self, resumed_from_step: int, skipped: list[str], fingerprint: dict[str, Any]) -> None:
        """Creates the journal with its first line; nothing if that has happened.

        Without a fingerprint the attempt never came to its first step, which its `total_steps` of 0 says.
        """
        if self.journal:
            return
        older_bytes = journal.journal_sizes(self.folder)
        check_right(self.folder, token=self.job.token)  # loading took seconds, in which another may have finished
        started = Started(
            attempt=self.number,
            job_id=self.job.job_id,
            restart=self.job.restart,
            host=self.job.node or provenance.host(),
            pid=os.getpid(),
            claim=self.claim.claim,
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
        """Journals an event and tells the listener."""
        assert self.journal, "the journal opens before the first event"
        self.step = max(self.step, getattr(event, "step", 0), getattr(event, "resumed_from_step", 0))
        self.listen(self.journal.append(event))

    def _journal_failure(self, error: BaseException) -> None:
        """Says why, unless the journal is what failed: then the log says it."""
        failed = Failed(step=self.step, error=one_line(error) + place(error), traceback=traceback.format_exc())
        try:
            self._open(0, [], {})
            self.emit(failed)
        except OSError as full:
            log.error("cannot journal '%s': %s", failed.error, full)

    def should_stop(self) -> str | None:
        """A signal's name, `cancelled` or `held`; looks at what others wrote, who may be on another machine."""
        if self.folder.attempt(self.number + 1).exists():
            raise Superseded(f"attempt {self.number + 1} has started")
        if self.journal and (metrics := self._sampler.read()):
            self.emit(Sampled(step=self.step, metrics=metrics))
        asked, now = self._asked_to_stop(), time.monotonic()
        if asked or now < self._next_check:
            return asked
        self._next_check = now + LOOK_S
        if journal.is_cancelled(self.folder, claim=self.claim.claim):
            return CANCELLED
        return HELD if not self.job.in_slurm and journal.is_held(self.folder, claim=self.claim.claim) else None


def parent_in(path: Path) -> "Parent":
    """The trial in this folder as one whose weights are evaluated.

    Raises:
        CheckpointError: there is none.
    """
    from iwm_core.evaluation.trial import Parent
    from iwm_core.training.checkpoint import CheckpointFolder

    folder = TrialFolder(path)
    if not folder.value_file.exists():
        raise CheckpointError(f"there is no trial {folder.id} in {path.parent}; pretrain names one")
    status = fold(journal.read_control(folder), journal.read_journals(folder))
    checkpoints = CheckpointFolder(
        folder.checkpoints, trusted=lambda step, attempt: is_trusted(step, attempt, older=status.attempts)
    )
    return Parent(
        config=Trial.from_json(folder.value_file.read_bytes()).config,
        checkpoints=checkpoints,
        weights_sha256=status.weights_sha256,
    )


def recorded(journals: Journals) -> dict[str, dict[str, float]]:
    """The metrics of each protocol that was measured before, as the lowest attempt recorded them."""
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
    """` (iwm_core/pretrain.py:112)`: our line that the error passed last; nothing where it speaks to people."""
    if isinstance(error, CoreError | IwmError):
        return ""
    files = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    ours = [(file.relative_to(CODE), line) for file, line in files if file.is_relative_to(CODE)]
    own = [f" ({file}:{line})" for file, line in ours if file.parts[0] in ("iwm_core", "orchestrator")]
    return own[-1] if own else ""
