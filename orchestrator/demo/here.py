"""`iwm demo`: a first ablation, interrupted on purpose, with its findings.

    submit 12 trials -> kill one worker after its first checkpoint -> watch them finish -> table, findings, figure
    -> train an uninterrupted twin of the killed trial -> compare the weights, bit for bit

It uses the public parts: the packaged sweep `demo`, the local launcher, the same report. Run again, it continues where
it was, and prints the answer at once if everything is finished.
"""

import shutil
import signal
from dataclasses import dataclass

from rich.console import Console

from iwm_core.events import Finished
from orchestrator import service
from orchestrator.demo.watch import Statuses, below, describe, follow, gathered, is_ripe, places, print_answer
from orchestrator.errors import IwmError
from orchestrator.host import console
from orchestrator.host.locks import is_held
from orchestrator.launching import slots
from orchestrator.launching.foreground import train_here
from orchestrator.planning.expand import expand
from orchestrator.planning.plan import Mode
from orchestrator.records.layout import Layout
from orchestrator.records.scan import Census
from orchestrator.trial.lifecycle import ENDED, State, TrialStatus
from orchestrator.trial.sweep import Cell, Sweep

SWEEP = "demo"


def run_demo(layout: Layout, *, steps: int | None) -> None:
    """Run the whole demo, with `steps` per trial instead of the sweep's.

    Raises:
        IwmError: a trial did not finish, or the twin's weights differ.
        KeyboardInterrupt: after Ctrl-C, once the trials have been stopped.
    """
    sweep = expand(SWEEP, [f"train.steps={steps}"] if steps else [], sweeps_dir=None)
    say = console.err()
    say.print(f"{len(sweep.cells)} trials, {sweep.cells[0].resources.slots} at a time, in {layout.root}")
    say.print("Ctrl-C stops them at a checkpoint; run the same command to continue from there")
    submission = service.submit(layout, sweep, mode=Mode.RESUME)
    say.print(console.counts_line(submission.plan.counts))
    victim = victim_of(sweep)
    try:
        follow(layout, sweep, say=say, each_look=_Interruption(layout, victim, say))
        results = gathered(layout, sweep, say=say)
        twin = train_twin(layout, victim, say=say)
    except KeyboardInterrupt:
        service.cancel(layout, [cell.trial.id for cell in sweep.cells])
        say.print("stopped")
        raise
    print_answer(results)
    killed = next(trial.status for trial in results.trials if trial.id == victim.trial.id)
    out = console.out()
    out.print(proof(killed, victim=victim, twin_sha256=twin), soft_wrap=True)
    out.print(places(layout, results), soft_wrap=True)
    if killed.weights_sha256 != twin:
        raise IwmError("the weights of the interrupted trial differ from its twin's: please report this bug")


def victim_of(sweep: Sweep) -> Cell:
    """The trial to interrupt: the first with feature conditioning at full strength."""
    wanted = (cell for cell in sweep.cells if cell.trial.config.conditioning.kind == "feature")
    return max(wanted, key=lambda cell: cell.trial.config.photometric.strength)


@dataclass
class _Interruption:
    """Kills the victim's first attempt once it has a checkpoint, and starts another keeper if ours has died."""

    layout: Layout
    victim: Cell
    say: Console
    done: bool = False

    def __call__(self, statuses: Statuses) -> None:
        """Look once.

        Raises:
            IwmError: the trials that are left run on other machines; `value` has their names.
        """
        trial_id = self.victim.trial.id
        status = statuses[trial_id]
        ripe = not self.done and is_ripe(status)
        if ripe and service.stop_worker(self.layout, trial_id, status, by=signal.SIGKILL):
            self.done = True
            self.say.print(f"SIGKILL   {trial_id[:8]}  {describe(self.victim):<40} on purpose, at step {status.step}")
        if not slots.has_work(self.layout, statuses):
            waiting = [status for status in statuses.values() if status.state not in ENDED]
            hosts = sorted({status.claim_host for status in waiting})
            message = f"{len(waiting)} trials run on other machines, {', '.join(hosts)}: follow them with iwm status"
            raise IwmError(message, value=hosts)
        if not is_held(self.layout.keeper_lock):
            with service.observed(self.layout):
                pass


def proof(killed: TrialStatus, *, victim: Cell, twin_sha256: str) -> str:
    """The story of the interrupted trial, and its weights beside its twin's."""
    resumed = ", ".join(str(attempt.resumed_from_step) for attempt in killed.attempts[1:])
    verdict = "equal, bit for bit" if killed.weights_sha256 == twin_sha256 else "DIFFERENT"
    story = f"Interrupted on purpose: {victim.trial.id[:8]} ({describe(victim)}), resumed from step {resumed}"
    if not resumed:
        story = f"Trial {victim.trial.id[:8]} was too short to interrupt after a checkpoint, so it was only repeated"
    return (
        f"\n{story}.\n  its weights          {killed.weights_sha256}\n  uninterrupted twin   {twin_sha256}\n  {verdict}"
    )


def train_twin(layout: Layout, victim: Cell, *, say: Console) -> str:
    """Train the victim's twin in this process, uninterrupted and under a root of its own; returns its weights' SHA-256.

    Raises:
        KeyboardInterrupt: it was interrupted; the next run of the demo trains it from its first step.
    """
    alone = below(layout, "twin")
    say.print(f"training an uninterrupted twin of {victim.trial.id[:8]}")
    status = Census(alone).status(victim.trial.id)
    if len(status.attempts) > 1 or status.state is not State.FINISHED:
        shutil.rmtree(alone.root, ignore_errors=True)
    ended = train_here(alone, victim).event
    if not isinstance(ended, Finished):
        raise KeyboardInterrupt
    return ended.weights_sha256
