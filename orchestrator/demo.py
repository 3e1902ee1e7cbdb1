"""`iwm demo`: a first ablation, interrupted on purpose, with its answer.

    submit 12 trials -> kill one worker after its first checkpoint -> watch them finish -> table, findings, figure
    -> train an uninterrupted twin of the killed trial -> compare the weights, bit for bit

It uses what everybody uses: the packaged sweep `demo`, the local launcher, the same report. Run again, it goes on where
it was, and shows the answer at once where everything is finished.
"""

import shutil
import signal
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from dashboards.findings import find
from dashboards.publish import attach_reports, report_files
from dashboards.report import SECTIONS
from dashboards.wording import metric_name
from iwm_core.events import Finished
from orchestrator import gather, local, render, service
from orchestrator.census import Census
from orchestrator.errors import IwmError, TrackingError
from orchestrator.expand import expand
from orchestrator.foreground import train_here
from orchestrator.layout import Layout, sqlite_url
from orchestrator.lifecycle import State, TrialStatus
from orchestrator.locks import is_held
from orchestrator.plan import Mode
from orchestrator.results import SweepResults
from orchestrator.sweep import Cell, Sweep

SWEEP = "demo"
LOOK_S = 0.5
OVER = frozenset({State.FINISHED, State.FAILED, State.CANCELLED})


def run_demo(layout: Layout, *, steps: int | None) -> None:
    """The whole demo.

    Raises:
        IwmError: a trial did not finish, or the twin's weights differ.
        KeyboardInterrupt: after Ctrl-C, when the trials have been stopped.
    """
    sweep = expand(SWEEP, [f"train.steps={steps}"] if steps else [], sweeps_dir=None)
    say = render.err()
    say.print(f"{len(sweep.cells)} trials, {_slots(sweep)} at a time, in {layout.root}")
    say.print("Ctrl-C stops them at a checkpoint; the same command goes on from there")
    submission = service.submit(layout, sweep, mode=Mode.RESUME)
    say.print(render.counts_line(submission.plan.counts))
    victim = _victim(sweep)
    try:
        _follow(layout, sweep, victim=victim, say=say)
        results = _gathered(layout, sweep, say=say)
        twin = _train_twin(layout, victim, say=say)
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


class _Watch:
    """Progress bars over the trials of a sweep: one for all, one for each that runs."""

    def __init__(self, layout: Layout, sweep: Sweep, *, say: Console) -> None:
        self._census, self._sweep = Census(layout), sweep
        columns = (
            TextColumn("{task.description:<44}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self.progress = Progress(*columns, console=say, disable=not sys.stderr.isatty())
        self._all = self.progress.add_task("finished", total=len(sweep.cells))
        self._bars: dict[str, TaskID] = {}
        self._told: dict[str, State] = {}

    def look(self) -> dict[str, TrialStatus]:
        """The statuses now, drawn."""
        statuses = {cell.trial.id: self._census.status(cell.trial.id) for cell in self._sweep.cells}
        for cell in self._sweep.cells:
            self._draw(cell, statuses[cell.trial.id])
        self.progress.update(self._all, completed=sum(status.state in OVER for status in statuses.values()))
        return statuses

    def _draw(self, cell: Cell, status: TrialStatus) -> None:
        """A bar while it runs; one line when it ends, which is all that a log file shows."""
        trial_id, name = cell.trial.id, describe(cell)
        if status.state is State.RUNNING:
            bar = self._bars.get(trial_id)
            if bar is None:
                bar = self._bars[trial_id] = self.progress.add_task(name, total=status.total_steps)
            self.progress.update(bar, completed=status.step)
        elif (bar := self._bars.pop(trial_id, None)) is not None:
            self.progress.remove_task(bar)
        if status.state in OVER and self._told.get(trial_id) is not status.state:
            mrr = render.show(status.metrics.get("mrr"))
            self.progress.console.print(f"{status.state:<9} {trial_id[:8]}  {name:<40} MRR {mrr}")
            self._told[trial_id] = status.state


def describe(cell: Cell) -> str:
    """`feature, strength 1, depth 2`."""
    return ", ".join(
        f"{key.rpartition('.')[2]} {value:g}" if isinstance(value, int | float) else str(value)
        for key, value in cell.overrides.items()
    )


def _follow(layout: Layout, sweep: Sweep, *, victim: Cell, say: Console) -> None:
    """Until every trial has ended; kills the victim's first attempt once it has a checkpoint."""
    watch, killed_at = _Watch(layout, sweep, say=say), 0
    with watch.progress:
        while True:
            statuses = watch.look()
            status = statuses[victim.trial.id]
            if (
                not killed_at
                and _is_ripe(status)
                and service.stop_worker(layout, victim.trial.id, status, by=signal.SIGKILL)
            ):
                killed_at = status.step
                say.print(f"SIGKILL   {victim.trial.id[:8]}  {describe(victim):<40} on purpose, at step {killed_at}")
            if all(status.state in OVER for status in statuses.values()):
                break
            _see_that_it_goes_on(layout, statuses)
            time.sleep(LOOK_S)
    _check(statuses)


def _see_that_it_goes_on(layout: Layout, statuses: dict[str, TrialStatus]) -> None:
    """Starts another keeper where ours has died; what runs elsewhere is not ours to wait for."""
    waiting = [status for status in statuses.values() if status.state not in OVER]
    if not local.has_work(statuses):
        where = ", ".join(sorted({status.claim_host for status in waiting}))
        raise IwmError(f"{len(waiting)} trials are not in the hands of this machine's slots but on {where}: iwm status")
    if not is_held(layout.keeper_lock):
        with service.observed(layout):
            pass


def _is_ripe(status: TrialStatus) -> bool:
    """In its first attempt, with a checkpoint behind it and not at its end."""
    if status.state is not State.RUNNING or len(status.attempts) != 1:
        return False
    return 0 < status.attempts[0].checkpoint_step < status.step < status.total_steps


def _check(statuses: dict[str, TrialStatus]) -> None:
    counted = Counter(status.state for status in statuses.values())
    if counted[State.FINISHED] == len(statuses):
        return
    errors = [status.error for status in statuses.values() if status.error]
    reason = f": {errors[0]}" if errors else ""
    raise IwmError(f"{len(statuses) - counted[State.FINISHED]} of {len(statuses)} trials did not finish{reason}")


def _gathered(layout: Layout, sweep: Sweep, *, say: Console) -> SweepResults:
    """Everything in the store and in MLflow, the report beside the sweep."""
    with service.observed(layout) as store:
        try:
            say.print(gather.sync(layout, store).sentence())
            attach_reports(layout, store)
        except TrackingError as warning:
            say.print(f"warning: {warning}; nothing is lost, run `iwm sync` when it is back")
        results = store.results(sweep.id)
    for name, content in report_files(results).items():
        (report_folder(layout, sweep.id) / name).write_bytes(content)
    return results


def report_folder(layout: Layout, sweep_id: str) -> Path:
    """Where the demo leaves its report."""
    return layout.sweep_file(sweep_id).parent


def _train_twin(layout: Layout, victim: Cell, *, say: Console) -> str:
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


def _answer(layout: Layout, results: SweepResults, *, victim: Cell, twin: str) -> None:
    """The table, the sentences, the proof, and where everything is."""
    out = render.out()
    out.print(answer_table(results))
    findings = find(results)
    for kind, title in SECTIONS.items():
        sentences = [finding.text for finding in findings if finding.kind is kind]
        if sentences:
            out.print("", f"{title}:", *[f"  - {sentence}" for sentence in sentences], sep="\n", soft_wrap=True)
    killed = next(trial.status for trial in results.trials if trial.id == victim.trial.id)
    out.print(proof(killed, victim=victim, twin_sha256=twin), soft_wrap=True)
    out.print(places(layout, results), soft_wrap=True)
    if killed.weights_sha256 != twin:
        raise IwmError("the interrupted trial's weights differ from its twin's: please report this")


SHOWN = ("conditioning", "photometric.strength", "predictor.depth")
SHOWN_METRICS = (
    "mrr", "mrr_floor", "mrr_patchwise", "linear_probe_top1", "random_probe_top1",
    "linear_probe_tokens_top1", "random_probe_tokens_top1",
)  # fmt: skip


def answer_table(results: SweepResults) -> Table:
    """The report's main table, as far as a terminal of 100 columns goes; each score beside its reference."""
    table = Table(
        title="Final metrics; each score beside its reference.", title_justify="left", box=None, pad_edge=False
    )
    for heading in (*map(_last_word, SHOWN), *map(metric_name, SHOWN_METRICS), "attempts"):
        table.add_column(heading, justify="left" if heading == SHOWN[0] else "right", max_width=12)
    for trial in results.trials:
        axes = (render.show(trial.overrides.get(axis)) for axis in SHOWN)
        metrics = (f"{trial.status.metrics[key]:.3f}" for key in SHOWN_METRICS)
        table.add_row(*axes, *metrics, str(len(trial.status.attempts)))
    return table


def _last_word(axis: str) -> str:
    return axis.rpartition(".")[2]


def places(layout: Layout, results: SweepResults) -> str:
    """Where everything is, as commands and paths that work from here."""
    folder, root = report_folder(layout, results.record.id), _from_here(layout.root)
    ui = gather.ui_command(layout, program=render.program("mlflow"))
    return (
        f"\nfigure  {_from_here(folder / 'figure.png')}\nreport  {_from_here(folder / 'report.html')}"
        f"\ntrials  {render.program('iwm')} status demo --root {root}\nMLflow  {ui}"
    )


def _from_here(path: Path) -> Path:
    """The shorter of the absolute path and the one from the working folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


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
