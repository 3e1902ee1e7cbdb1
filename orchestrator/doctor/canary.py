"""`iwm doctor --canary`: a real trial through a real partition, preempted twice and followed to its end.

    submit -> first checkpoint -> USR2 -> the same job again, resumed -> scontrol requeue -> again, resumed -> finished

A preemption or a time limit sends USR2 first, and then does what `scontrol requeue` does, as far as a user may request
it. The trial has a folder of its own under the root, which is removed if all is well and kept if a stage failed.
"""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from iwm_core.events import Preempted
from orchestrator import service
from orchestrator.doctor.finding import Finding, Verdict
from orchestrator.doctor.partitions import PARTITIONS_COMMAND, CanaryRequest, Partition, choose, parse_partitions
from orchestrator.doctor.site import Ask
from orchestrator.errors import IwmError
from orchestrator.host import slurm
from orchestrator.host.signals import stop_flag
from orchestrator.planning.expand import single
from orchestrator.records import journal, slurm_seen
from orchestrator.records.layout import Layout, sqlite_url
from orchestrator.records.scan import read_status
from orchestrator.store.database import Store
from orchestrator.trial.launchers import SLURM
from orchestrator.trial.lifecycle import ENDED, State, TrialStatus
from orchestrator.trial.sweep import Cell, Sweep

SUBJECT = "canary"
MINUTES = 5
TRIAL = (
    "train.log_every=10",
    "evaluate.bank_images=4",
    "evaluate.bank_size=16",
    "evaluate.probe_train_images=500",
    "evaluate.probe_test_images=200",
    "resources.checkpoint_every_steps=10",
)
STEPS_CPU, STEPS_GPU = 300, 6000
"""Half a minute: long enough to be interrupted twice."""
POLL_S = 0.5
CANCEL_S = 60.0
"""Seconds that a cancelled job may take to end."""


def prepare(request: CanaryRequest, *, ask: Ask) -> list[tuple[str, Cell]]:
    """(partition, trial) of every canary; empty if SLURM does not answer.

    Raises:
        RequestError, ConfigError: an unknown partition, or invalid overrides.
    """
    partitions = parse_partitions(ask(PARTITIONS_COMMAND).out)
    chosen = choose(partitions, names=request.partitions) if partitions else []
    return [(one.name, canary_cell(one, request.overrides, sweeps=request.sweeps)) for one in chosen]


def send_all(
    layout: Layout, canaries: Sequence[tuple[str, Cell]], *, wait_s: float, say: Callable[[str], None]
) -> list[Finding]:
    """Runs one canary after the other.

    Raises:
        KeyboardInterrupt: SIGINT, SIGTERM or SIGHUP came; the job is cancelled and its folder removed.
    """
    if not canaries:
        return [Finding(SUBJECT, "submit", Verdict.FAILED, "not sent", "the canary needs a SLURM that answers")]
    sent = (_send(layout, cell, subject=f"{SUBJECT} {name}", wait_s=wait_s, say=say) for name, cell in canaries)
    return [finding for findings in sent for finding in findings]


def canary_cell(partition: Partition, overrides: Sequence[str] = (), *, sweeps: Path | None = None) -> Cell:
    """The trial for this partition, on the CPU if that has no GPUs. Overrides win, except for the partition.

    Raises:
        RequestError, ConfigError: invalid overrides.
    """
    minutes = min(MINUTES, partition.max_minutes or MINUTES)
    limits = (f"resources.time_limit_min={minutes}", f"resources.signal_before_s={minutes * 10}")
    device = () if partition.gpus else ("resources.device=cpu",)
    words = [*TRIAL, *limits, *device, *overrides, f"resources.partition='{partition.name}'"]
    steps = STEPS_CPU if single(words, sweeps_dir=sweeps).resources.device == "cpu" else STEPS_GPU
    return single([f"train.steps={steps}", *words], sweeps_dir=sweeps)


def _send(layout: Layout, cell: Cell, *, subject: str, wait_s: float, say: Callable[[str], None]) -> list[Finding]:
    """Runs one canary until it ends or a stage fails; a failure keeps its files."""
    findings: list[Finding] = []
    with _own_root(layout, findings) as own, stop_flag() as stop, Store.open(own.database_url) as store:
        canary = _Canary(layout=own, store=store, cell=cell, subject=subject, wait_s=wait_s, stop=stop)
        try:
            for finding in canary.stages():
                say(f"{finding.subject}: {finding.name}: {finding.verdict} ({finding.value})")
                findings.append(finding)
                if finding.verdict is Verdict.FAILED:
                    findings[-1] = replace(finding, means=f"{finding.means}; its files are kept in {own.root}")
                    break
        finally:
            canary.end()
    return findings


@contextlib.contextmanager
def _own_root(layout: Layout, findings: Sequence[Finding]) -> Iterator[Layout]:
    """A root under the root, where the nodes find it, kept if a finding failed; its databases are on this host."""
    is_new = not layout.root.exists()
    service.check_root(layout)
    root = Path(tempfile.mkdtemp(prefix="canary-", dir=layout.root))
    try:
        with tempfile.TemporaryDirectory(prefix="iwm-") as folder:
            state = Path(folder)
            database, mlflow = sqlite_url(state / "orchestrator.db"), sqlite_url(state / "mlflow.db")
            yield replace(layout, root=root, state=state, database_url=database, tracking_uri=mlflow)
    finally:
        if all(one.verdict is not Verdict.FAILED for one in findings):
            shutil.rmtree(root, ignore_errors=True)
            if is_new:
                with contextlib.suppress(OSError):
                    layout.root.rmdir()


@dataclass(kw_only=True)
class _Canary:
    """One trial on its way through SLURM. A stage waits for `wait_s` at most; `stop` interrupts it."""

    layout: Layout
    store: Store
    cell: Cell
    subject: str
    wait_s: float
    stop: Callable[[], str | None]

    def __post_init__(self) -> None:
        self._line, self._folder = partial(Finding, self.subject), self.layout.trial(self.cell.trial.id)

    def stages(self) -> Iterator[Finding]:
        """Yields a finding per stage; the caller stops at the first that failed."""
        yield self._submit()
        yield self._start()
        for name, command in (("USR2", signal_command), ("scontrol requeue", slurm.requeue_command)):
            before = read_status(self._folder)
            if before.state in ENDED or not before.attempts:
                yield self._line(
                    name, Verdict.WARNING, f"{before.state} already", "the trial ended before it could be interrupted"
                )
                break
            answer = slurm.run(command(before.job_id))
            if not answer.ok:
                means = "this site does not let users do this; trials still resume when SLURM does it"
                yield self._line(name, Verdict.WARNING, answer.words, means)
                continue
            yield self._stopped(name, before)
            yield self._again(f"back after {name}", before)
        yield self._finish()

    def end(self) -> None:
        """Cancels the trial and waits until its job has ended."""
        status = read_status(self._folder)
        service.cancel(self.layout, [self._folder.id])
        deadline = time.monotonic() + CANCEL_S
        while status.job_id and time.monotonic() < deadline:
            state = slurm.parse_state(slurm.run(slurm.state_command(status.job_id)).out)
            if not state or state in slurm.FINAL:
                break
            time.sleep(POLL_S)

    def _wait(self, found: Callable[[TrialStatus], bool]) -> tuple[TrialStatus, float]:
        """Reconciles until `found`, the trial's end or the time limit; returns the status and the seconds waited."""
        begun = time.monotonic()
        while True:
            service.observe(self.layout, self.store)
            status, took = read_status(self._folder), time.monotonic() - begun
            if found(status) or status.state in ENDED or took > self.wait_s:
                return status, took
            if self.stop():
                raise KeyboardInterrupt
            time.sleep(POLL_S)

    def _submit(self) -> Finding:
        sweep = Sweep("canary", axes=(), cells=(self.cell,))
        try:
            submitted = service.submit(self.layout, sweep, launcher=SLURM)
        except IwmError as error:
            means = "SLURM rejected the trial: see `iwm doctor` and resources.*"
            return self._line("submit", Verdict.FAILED, str(error), means)
        return self._line("submit", Verdict.OK, f"job {submitted.jobs[0].job_id}", "SLURM accepted the trial")

    def _start(self) -> Finding:
        """Waits for a checkpoint and a step after it."""
        status, took = self._wait(
            lambda now: bool(now.attempts) and 0 < now.attempts[-1].checkpoint_step < now.attempts[-1].step
        )
        if not status.attempts or not status.attempts[-1].checkpoint_step:
            return self._stuck("start", status)
        attempt = status.attempts[-1]
        value = f"on {attempt.host}, {attempt.fingerprint.get('device')}, after {took:.0f} s"
        return self._line("start", Verdict.OK, value, "the trial trains and has written a checkpoint")

    def _stuck(self, name: str, status: TrialStatus) -> Finding:
        """A stage that was not reached, with the trial's error or SLURM's reason."""
        if status.error:
            return self._line(name, Verdict.FAILED, status.error, "the trial itself failed")
        seen = slurm_seen.read(self.layout).get(self._folder.id, {})
        reason = f"{seen.get('state', '')} {seen.get('reason', '')}".strip() or "SLURM gives no reason"
        means = "wait longer with --wait, or read the job's log"
        return self._line(name, Verdict.FAILED, f"{status.state}, {reason}, for {self.wait_s:.0f} s", means)

    def _stopped(self, name: str, before: TrialStatus) -> Finding:
        """The finding on the interrupted attempt: it received the signal and checkpointed."""
        number = before.attempts[-1].number
        status, took = self._wait(lambda now: now.attempts[number].end is not None)
        events = journal.read_journals(self._folder).get(number, [])
        for event in events:
            if isinstance(event, Preempted):
                value = f"{event.signal} received, checkpoint at step {event.step}, {took:.0f} s"
                return self._line(name, Verdict.OK, value, "a preempted trial checkpoints in time")
        match status.attempts[number].end:
            case "finished":
                means = "inconclusive: lengthen the trial with train.steps=20000"
                return self._line(name, Verdict.WARNING, "the trial finished before the signal arrived", means)
            case "lost":
                means = "the steps since the last checkpoint are repeated: lower resources.checkpoint_every_steps"
                return self._line(name, Verdict.WARNING, "killed before it could checkpoint", means)
            case _:
                return self._stuck(name, status)

    def _again(self, name: str, before: TrialStatus) -> Finding:
        """The finding on the next attempt: it began in the same job, from a checkpoint."""
        older = before.attempts[-1]
        status, took = self._wait(lambda now: now.attempts[-1].number > older.number and now.attempts[-1].has_begun)
        newer = status.attempts[-1]
        if newer.number == older.number or not newer.has_begun:
            if status.state is not State.FINISHED:
                return self._stuck(name, status)
            means = "inconclusive: lengthen the trial with train.steps"
            return self._line(name, Verdict.WARNING, "finished already", means)
        job = f"job {newer.job_id}, restart {newer.restart}, on {newer.host}"
        value = f"{job} after {took:.0f} s, from step {newer.resumed_from_step}"
        if not newer.resumed_from_step:
            why = "; ".join(newer.skipped) or "no checkpoint was found"
            means = f"the attempt restarted from step 0 instead of resuming: {why}"
            return self._line(name, Verdict.FAILED, value, means)
        if newer.job_id != older.job_id:
            means = "SLURM did not requeue the job, so a new one was submitted: keep `iwm serve` running"
            return self._line(name, Verdict.WARNING, value, means)
        return self._line(name, Verdict.OK, value, "SLURM started the same job again, and it resumed")

    def _finish(self) -> Finding:
        status, _ = self._wait(lambda now: now.state in ENDED)
        if status.state is not State.FINISHED:
            return self._stuck("finish", status)
        value = f"step {status.step} in {len(status.attempts)} attempts, weights {status.weights_sha256[:16]}"
        if status.drifted or not status.fingerprints_agree:
            means = "its nodes differ in numerics, so trials resume up to rounding only: set resources.constraint"
            return self._line("finish", Verdict.WARNING, value, means)
        return self._line("finish", Verdict.OK, value, "this partition runs sweeps reliably")


def signal_command(job_id: str) -> list[str]:
    """Sends USR2 to a job's steps, as SLURM does before it ends a job."""
    return ["scancel", "--signal=USR2", job_id]
