"""Shared by both demos: follow the trials of a sweep until they have ended, and print their findings."""

import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from dashboards.findings import find
from dashboards.publish import attach_reports, report_files
from dashboards.report.content import SECTIONS
from dashboards.wording import metric_name
from orchestrator import service
from orchestrator.errors import IwmError, TrackingError
from orchestrator.host import console
from orchestrator.records.layout import Layout, sqlite_url
from orchestrator.records.scan import Census
from orchestrator.tracking import gather
from orchestrator.trial.lifecycle import ENDED, State, TrialStatus
from orchestrator.trial.results import SweepResults
from orchestrator.trial.sweep import Cell, Sweep

LOOK_S = 0.5
SHOWN = ("conditioning", "photometric.strength", "predictor.depth")
SHOWN_METRICS = (
    "mrr", "mrr_floor", "mrr_patchwise", "linear_probe_top1", "random_probe_top1",
    "linear_probe_tokens_top1", "random_probe_tokens_top1",
)  # fmt: skip

Statuses = Mapping[str, TrialStatus]


def follow(
    layout: Layout, sweep: Sweep, *, say: Console, each_look: Callable[[Statuses], None] = lambda statuses: None
) -> Statuses:
    """Draw the sweep's trials until all have ended, calling `each_look` with their statuses; returns the last ones.

    On a terminal there is a bar for all trials and one for each that runs; a line for each that ends is also in a log.

    Raises:
        IwmError: a trial did not finish.
    """
    census, bars, printed = Census(layout), dict[str, TaskID](), dict[str, State]()
    columns = (TextColumn("{task.description:<44}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=say, disable=not sys.stderr.isatty()) as progress:
        total = progress.add_task("finished", total=len(sweep.cells))
        while True:
            statuses = {cell.trial.id: census.status(cell.trial.id) for cell in sweep.cells}
            for cell in sweep.cells:
                trial_id, status = cell.trial.id, statuses[cell.trial.id]
                if status.state is State.RUNNING:
                    if trial_id not in bars:
                        bars[trial_id] = progress.add_task(describe(cell), total=status.total_steps)
                    progress.update(bars[trial_id], completed=status.step)
                elif trial_id in bars:
                    progress.remove_task(bars.pop(trial_id))
                if status.state in ENDED and printed.get(trial_id) is not status.state:
                    mrr = console.show(status.metrics.get("mrr"))
                    progress.console.print(f"{status.state:<9} {trial_id[:8]}  {describe(cell):<40} MRR {mrr}")
                    printed[trial_id] = status.state
            ended = [status for status in statuses.values() if status.state in ENDED]
            progress.update(total, completed=len(ended))
            if len(ended) == len(statuses):
                break
            each_look(statuses)
            time.sleep(LOOK_S)
    check(statuses)
    return statuses


def check(statuses: Statuses) -> None:
    """Check that every trial has finished.

    Raises:
        IwmError: some have not; `value` is their number.
    """
    unfinished = len(statuses) - Counter(status.state for status in statuses.values())[State.FINISHED]
    if unfinished:
        errors = [status.error for status in statuses.values() if status.error]
        reason = f": {errors[0]}" if errors else ""
        raise IwmError(f"{unfinished} of {len(statuses)} trials did not finish{reason}", value=unfinished)


def describe(cell: Cell) -> str:
    """`feature, strength 1, depth 2`."""
    return ", ".join(
        f"{key.rpartition('.')[2]} {value:g}" if isinstance(value, int | float) else str(value)
        for key, value in cell.overrides.items()
    )


def is_ripe(status: TrialStatus) -> bool:
    """Return True if a trial can be interrupted: in its first attempt, between a checkpoint and its end."""
    if status.state is not State.RUNNING or len(status.attempts) != 1:
        return False
    return 0 < status.attempts[0].checkpoint_step < status.step < status.total_steps


def below(layout: Layout, name: str) -> Layout:
    """A root of its own below this one, with databases of its own."""
    root = layout.root / name
    databases = {"database_url": sqlite_url(root / "orchestrator.db"), "tracking_uri": sqlite_url(root / "mlflow.db")}
    return replace(layout, root=root, state=root, **databases)


def gathered(layout: Layout, sweep: Sweep, *, say: Console) -> SweepResults:
    """The sweep's results, after sending them to MLflow and writing the report beside `sweep.json`."""
    with service.observed(layout) as store:
        try:
            say.print(gather.sync(layout, store).sentence())
            attach_reports(layout, store)
        except TrackingError as error:
            say.print(f"warning: {error}; no data is lost, run `iwm sync` when MLflow is back")
        results = store.results(sweep.id)
        files = report_files(results, store.points)
    for name, content in files.items():
        (layout.sweep_file(sweep.id).parent / name).write_bytes(content)
    return results


def print_answer(results: SweepResults) -> None:
    """Print the table of final metrics and the findings."""
    out = console.out()
    out.print(answer_table(results))
    findings = find(results)
    for kind, title in SECTIONS.items():
        sentences = [finding.text for finding in findings if finding.kind is kind]
        if sentences:
            out.print("", f"{title}:", *[f"  - {sentence}" for sentence in sentences], sep="\n", soft_wrap=True)


def answer_table(results: SweepResults) -> Table:
    """The report's main table, in 100 columns; each score beside its reference."""
    headings = (*(axis.rpartition(".")[2] for axis in SHOWN), *map(metric_name, SHOWN_METRICS), "attempts")
    table = console.table("Final metrics; each score beside its reference.", headings, right=headings[1:])
    for column in table.columns:
        column.max_width = 12
    for trial in results.trials:
        axes = (console.show(trial.overrides.get(axis)) for axis in SHOWN)
        metrics = (f"{trial.status.metrics[key]:.3f}" for key in SHOWN_METRICS)
        table.add_row(*axes, *metrics, str(len(trial.status.attempts)))
    return table


def places(layout: Layout, results: SweepResults) -> str:
    """Return paths and commands that work in this folder."""
    folder = _from_here(layout.sweep_file(results.record.id).parent)
    status = shlex.join([console.program("iwm"), "status", "demo", "--root", str(_from_here(layout.root))])
    ui = gather.ui_command(layout, program=console.program("mlflow"))
    figure, report = (shlex.quote(str(folder / name)) for name in ("figure.png", "report.html"))
    return f"\nfigure  {figure}\nreport  {report}\ntrials  {status}\nMLflow  {ui}"


def _from_here(path: Path) -> Path:
    """The path relative to the working folder, if it is below that."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
