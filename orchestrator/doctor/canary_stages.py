"""One canary's way through SLURM, leg by leg, and what can be said of each.

    submit -> first checkpoint -> USR2 -> the same job again, resumed -> scontrol requeue -> again, resumed -> finished

USR2 is what a preemption or a time limit sends first, `scontrol requeue` does what a preemption does next: as far as a
user may ask for it.
"""

import time
from collections.abc import Callable, Iterator

from iwm_core.events import Preempted
from orchestrator import service
from orchestrator.doctor.finding import Finding, Verdict
from orchestrator.errors import IwmError
from orchestrator.host import slurm
from orchestrator.records import journal, slurm_seen
from orchestrator.records.layout import Layout
from orchestrator.records.scan import read_status
from orchestrator.store.database import Store
from orchestrator.trial.launchers import SLURM
from orchestrator.trial.lifecycle import ENDED, Attempt, State, TrialStatus
from orchestrator.trial.sweep import Cell, Sweep

LOOK_S = 0.5
GONE_S = 60.0
"""How long a job that was cancelled may take to end."""


class CanaryStages:
    """One trial on its way. No single wait is longer than `wait_s`; `stop` says when somebody is in a hurry."""

    def __init__(
        self,
        layout: Layout,
        store: Store,
        cell: Cell,
        *,
        subject: str,
        wait_s: float,
        stop: Callable[[], str | None],
    ) -> None:
        self._layout, self._store, self._cell = layout, store, cell
        self._subject, self._wait_s, self._stop = subject, wait_s, stop
        self._folder = layout.trial(cell.trial.id)

    def legs(self) -> Iterator[Finding]:
        """A finding per leg, as it is flown; who listens stops at the first that failed."""
        yield self._submit()
        yield self._start()
        for name, command in (("USR2", signal_command), ("scontrol requeue", slurm.requeue_command)):
            before = self._now()
            if not self._is_flying(before):
                yield self._line(name, Verdict.WARNING, f"{before.state} already", "it ended before it could be asked")
                break
            answer = slurm.run(command(before.job_id))
            if not answer.ok:
                means = (
                    "what users may not ask for, the site itself may still do: preempted trials come back either way"
                )
                yield self._line(name, Verdict.WARNING, answer.words, means)
                continue
            yield self._stopped(name, before)
            yield self._again(f"back after {name}", before)
        yield self._finish()

    def end(self) -> None:
        """Sees that no job of ours is left."""
        status = self._now()
        service.cancel(self._layout, [self._folder.id])
        deadline = time.monotonic() + GONE_S
        while status.job_id and time.monotonic() < deadline:
            state = slurm.parse_state(slurm.run(slurm.state_command(status.job_id)).out)
            if not state or state in slurm.FINAL:
                break
            time.sleep(LOOK_S)

    def _line(self, name: str, verdict: Verdict, value: str, means: str) -> Finding:
        return Finding(subject=self._subject, name=name, verdict=verdict, value=value, means=means)

    def _now(self) -> TrialStatus:
        return read_status(self._folder)

    def _is_flying(self, status: TrialStatus) -> bool:
        return status.state not in ENDED and bool(status.attempts)

    def _wait(self, found: Callable[[TrialStatus], bool]) -> TrialStatus:
        """Looks and reconciles until something is so, the trial is over, or time is up."""
        deadline = time.monotonic() + self._wait_s
        while True:
            service.observe(self._layout, self._store)
            status = self._now()
            if found(status) or status.state in ENDED or time.monotonic() > deadline:
                return status
            if self._stop():
                raise KeyboardInterrupt
            time.sleep(LOOK_S)

    def _submit(self) -> Finding:
        sweep = Sweep("canary", axes=(), cells=(self._cell,))
        try:
            submitted = service.submit(self._layout, sweep, launcher=SLURM)
        except IwmError as error:
            means = "no trial can be submitted like this: see `iwm doctor` and resources.*"
            return self._line("submit", Verdict.FAILED, str(error), means)
        return self._line("submit", Verdict.OK, f"job {submitted.jobs[0].job_id}", "SLURM took the trial")

    def _start(self) -> Finding:
        """Waits for a checkpoint, and a step after it."""
        begun = time.monotonic()
        status = self._wait(
            lambda now: bool(now.attempts) and 0 < now.attempts[-1].checkpoint_step < now.attempts[-1].step
        )
        if not status.attempts or not status.attempts[-1].checkpoint_step:
            return self._stuck("start", status)
        attempt, took = status.attempts[-1], time.monotonic() - begun
        value = f"on {attempt.host}, {attempt.fingerprint.get('device')}, after {took:.0f} s"
        return self._line("start", Verdict.OK, value, "it trains, and has a checkpoint")

    def _stuck(self, name: str, status: TrialStatus) -> Finding:
        """Nothing came: why, as far as anybody says."""
        said = slurm_seen.read(self._layout).get(self._folder.id, {})
        waits = f"{said.get('state', '')} {said.get('reason', '')}".strip()
        value = status.error or f"{status.state}, {waits or 'nobody says why'}, for {self._wait_s:.0f} s"
        means = "wait longer with --wait, or see what the job said" if not status.error else "the trial itself failed"
        return self._line(name, Verdict.FAILED, value, means)

    def _stopped(self, name: str, before: TrialStatus) -> Finding:
        """Whether the running attempt heard a signal and checkpointed."""
        number = before.attempts[-1].number
        begun = time.monotonic()
        status = self._wait(lambda now: now.attempts[number].end is not None)
        attempt, heard = status.attempts[number], self._heard(number)
        took = time.monotonic() - begun
        if heard:
            value = f"{heard.signal} heard, checkpoint at step {heard.step}, {took:.0f} s"
            return self._line(name, Verdict.OK, value, "a trial that is asked to give way checkpoints in time")
        if attempt.end == "finished":
            means = "nothing was proved: give it more with train.steps=20000"
            return self._line(name, Verdict.WARNING, "it finished before the signal came", means)
        if attempt.end == "lost":
            means = "the steps since the last checkpoint are repeated: lower resources.checkpoint_every_steps"
            return self._line(name, Verdict.WARNING, "killed before it could checkpoint", means)
        return self._stuck(name, status)

    def _heard(self, number: int) -> Preempted | None:
        events = journal.read_journals(self._folder).get(number, [])
        return next((event for event in events if isinstance(event, Preempted)), None)

    def _again(self, name: str, before: TrialStatus) -> Finding:
        """Whether another attempt began, in the same job, from a checkpoint."""
        older = before.attempts[-1]
        begun = time.monotonic()
        status = self._wait(lambda now: now.attempts[-1].number > older.number and now.attempts[-1].has_begun)
        newer = status.attempts[-1]
        if newer.number == older.number or not newer.has_begun:
            return self._over_or_stuck(name, status)
        value = (
            f"{_job(newer)} on {newer.host} after {time.monotonic() - begun:.0f} s, from step {newer.resumed_from_step}"
        )
        if not newer.resumed_from_step:
            means = f"it began anew instead of resuming: {'; '.join(newer.skipped) or 'no checkpoint was found'}"
            return self._line(name, Verdict.FAILED, value, means)
        if newer.job_id != older.job_id:
            means = "SLURM did not queue the job again, so a new one was submitted: keep `iwm serve` running"
            return self._line(name, Verdict.WARNING, value, means)
        return self._line(name, Verdict.OK, value, "SLURM started the same job again, and it went on where it was")

    def _over_or_stuck(self, name: str, status: TrialStatus) -> Finding:
        if status.state is State.FINISHED:
            return self._line(name, Verdict.WARNING, "finished already", "nothing was proved: give it more train.steps")
        return self._stuck(name, status)

    def _finish(self) -> Finding:
        status = self._wait(lambda now: now.state in ENDED)
        if status.state is not State.FINISHED:
            return self._stuck("finish", status)
        value = f"step {status.step} in {len(status.attempts)} attempts, weights {status.weights_sha256[:16]}"
        if status.drifted or not status.fingerprints_agree:
            means = (
                "its nodes compute differently, so resumed trials are equal up to rounding: name a resources.constraint"
            )
            return self._line("finish", Verdict.WARNING, value, means)
        return self._line("finish", Verdict.OK, value, "a sweep can be trusted to this partition")


def signal_command(job_id: str) -> list[str]:
    """Sends USR2 to a job's steps, as SLURM does before it ends one."""
    return ["scancel", "--signal=USR2", job_id]


def _job(attempt: Attempt) -> str:
    return f"job {attempt.job_id}, restart {attempt.restart},"
