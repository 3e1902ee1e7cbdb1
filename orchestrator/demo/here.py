"""`iwm demo`: a first ablation, interrupted on purpose, with its answer.

    submit 12 trials -> kill one worker after its first checkpoint -> watch them finish -> table, findings, figure
    -> train an uninterrupted twin of the killed trial -> compare the weights, bit for bit

It uses what everybody uses: the packaged sweep `demo`, the local launcher, the same report. Run again, it goes on where
it was, and shows the answer at once where everything is finished.
"""

import shutil
import signal
import time
from dataclasses import replace

from rich.console import Console

from iwm_core.events import Finished
from orchestrator import service
from orchestrator.demo.answer import gathered, places, print_answer
from orchestrator.demo.watch import Watch, check, describe, is_ripe
from orchestrator.errors import IwmError
from orchestrator.host import console
from orchestrator.host.locks import is_held
from orchestrator.launching import slots
from orchestrator.launching.foreground import train_here
from orchestrator.planning.expand import expand
from orchestrator.planning.plan import Mode
from orchestrator.records.layout import Layout, sqlite_url
from orchestrator.records.scan import Census
from orchestrator.trial.lifecycle import ENDED, State, TrialStatus
from orchestrator.trial.results import SweepResults
from orchestrator.trial.sweep import Cell, Sweep

SWEEP = "demo"
LOOK_S = 0.5


def run_demo(layout: Layout, *, steps: int | None) -> None:
    """The whole demo.

    Raises:
        IwmError: a trial did not finish, or the twin's weights differ.
        KeyboardInterrupt: after Ctrl-C, when the trials have been stopped.
    """
    sweep = expand(SWEEP, [f"train.steps={steps}"] if steps else [], sweeps_dir=None)
    say = console.err()
    say.print(f"{len(sweep.cells)} trials, {_slots(sweep)} at a time, in {layout.root}")
    say.print("Ctrl-C stops them at a checkpoint; the same command goes on from there")
    submission = service.submit(layout, sweep, mode=Mode.RESUME)
    say.print(console.counts_line(submission.plan.counts))
    victim = _victim(sweep)
    try:
        _follow(layout, sweep, victim=victim, say=say)
        results = gathered(layout, sweep, say=say)
        twin = train_twin(layout, victim, say=say)
    except KeyboardInterrupt:
        service.cancel(layout, [cell.trial.id for cell in sweep.cells])
        say.print("stopped")
        raise
    _answer(layout, results, victim=victim, twin=twin)


def _slots(sweep: Sweep) -> int:
    return sweep.cells[0].resources.slots


def _victim(sweep: Sweep) -> Cell:
    """The trial that is interrupted: the first with feature conditioning at full strength."""
    wanted = (cell for cell in sweep.cells if cell.trial.config.conditioning.kind == "feature")
    return max(wanted, key=lambda cell: cell.trial.config.photometric.strength)


def _follow(layout: Layout, sweep: Sweep, *, victim: Cell, say: Console) -> None:
    """Until every trial has ended; kills the victim's first attempt once it has a checkpoint."""
    watch, killed_at = Watch(layout, sweep, say=say), 0
    with watch.progress:
        while True:
            statuses = watch.look()
            status = statuses[victim.trial.id]
            if (
                not killed_at
                and is_ripe(status)
                and service.stop_worker(layout, victim.trial.id, status, by=signal.SIGKILL)
            ):
                killed_at = status.step
                say.print(f"SIGKILL   {victim.trial.id[:8]}  {describe(victim):<40} on purpose, at step {killed_at}")
            if all(status.state in ENDED for status in statuses.values()):
                break
            _see_that_it_goes_on(layout, statuses)
            time.sleep(LOOK_S)
    check(statuses)


def _see_that_it_goes_on(layout: Layout, statuses: dict[str, TrialStatus]) -> None:
    """Starts another keeper where ours has died; what runs elsewhere is not ours to wait for."""
    waiting = [status for status in statuses.values() if status.state not in ENDED]
    if not slots.has_work(layout, statuses):
        where = ", ".join(sorted({status.claim_host for status in waiting}))
        raise IwmError(f"{len(waiting)} trials are not in the hands of this machine's slots but on {where}: iwm status")
    if not is_held(layout.keeper_lock):
        with service.observed(layout):
            pass


def _answer(layout: Layout, results: SweepResults, *, victim: Cell, twin: str) -> None:
    """The table, the sentences, the proof, and where everything is."""
    print_answer(results)
    killed = next(trial.status for trial in results.trials if trial.id == victim.trial.id)
    out = console.out()
    out.print(proof(killed, victim=victim, twin_sha256=twin), soft_wrap=True)
    out.print(places(layout, results), soft_wrap=True)
    if killed.weights_sha256 != twin:
        raise IwmError("the interrupted trial's weights differ from its twin's: please report this")


def proof(killed: TrialStatus, *, victim: Cell, twin_sha256: str) -> str:
    """What happened to the interrupted trial, and what became of its weights."""
    resumed = ", ".join(str(attempt.resumed_from_step) for attempt in killed.attempts[1:])
    verdict = "equal, bit for bit" if killed.weights_sha256 == twin_sha256 else "DIFFERENT"
    story = f"Interrupted on purpose: {victim.trial.id[:8]} ({describe(victim)}), resumed from step {resumed}"
    if not resumed:
        story = f"Too short to be interrupted after a checkpoint, so only repeated: {victim.trial.id[:8]}"
    return (
        f"\n{story}.\n  its weights          {killed.weights_sha256}\n  uninterrupted twin   {twin_sha256}\n  {verdict}"
    )


def train_twin(layout: Layout, victim: Cell, *, say: Console) -> str:
    """Trains the victim's twin in this process, under a root of its own, from its first step to its last; its weights.

    Raises:
        KeyboardInterrupt: it was interrupted; a twin that was is begun anew the next time.
    """
    root = layout.root / "twin"
    alone = replace(layout, root=root, state=root, database_url=sqlite_url(root / "orchestrator.db"))
    say.print(f"training an uninterrupted twin of {victim.trial.id[:8]}")
    status = Census(alone).status(victim.trial.id)
    if len(status.attempts) > 1 or status.state is not State.FINISHED:
        shutil.rmtree(root, ignore_errors=True)
    ended = train_here(alone, victim).event
    if not isinstance(ended, Finished):
        raise KeyboardInterrupt
    return ended.weights_sha256
