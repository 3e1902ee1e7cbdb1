"""Verbs about sweeps: plan, submit, status, logs, report."""

import sys
import time
from typing import Annotated

import typer

from orchestrator.cli import completing
from orchestrator.cli.application import app
from orchestrator.cli.options import (
    DEFAULT_ROOT,
    Json,
    Launcher,
    OneSweep,
    OneTrial,
    Output,
    Overrides,
    Root,
    Submitted,
    SweepName,
    Sweeps,
)
from orchestrator.errors import RequestError


@app.command(name="sweeps")
def known_sweeps(sweeps: Sweeps = None, json: Json = False) -> None:
    """List the sweeps that can be submitted.

    Packaged sweeps and those in ./sweeps, each with its description.
    """
    from orchestrator.cli import render
    from orchestrator.host import console
    from orchestrator.planning.expand import sweep_names

    names = sweep_names(sweeps)
    if json:
        return console.print_json(names)
    console.out().print(render.names_table(names))


@app.command()
def plan(
    sweep: SweepName,
    overrides: Overrides = None,
    launcher: Launcher = "local",
    root: Root = DEFAULT_ROOT,
    sweeps: Sweeps = None,
    json: Json = False,
) -> None:
    """Show what submitting a sweep would do, and its ETA.

    Starts nothing and writes nothing. The ETA comes from comparable trials under this root; without any it is unknown.
    """
    from orchestrator.cli import render
    from orchestrator.host import console, progress
    from orchestrator.planning.expand import expand
    from orchestrator.planning.forecast import forecast_plan
    from orchestrator.planning.plan import outlines, plan_sweep
    from orchestrator.records.layout import Layout

    layout = Layout.of(root)
    with progress.shown(json=json), progress.during("composing trials, and looking at earlier ones"):
        expanded = expand(sweep, overrides or (), sweeps_dir=sweeps)
        known = outlines(layout, (cell.trial.id for cell in expanded.cells))
        planned = plan_sweep(layout, expanded, read={key: status.state for key, status in known.items()})
        foreseen = forecast_plan(layout, planned, known=known, launcher=launcher)
    if json:
        return console.print_json(planned.to_dict() | {"forecast": foreseen.to_dict()})
    console.out().print(render.plan_table(planned))
    console.out().print(console.counts_line(planned.counts))
    for line in foreseen.lines(now=time.time()):
        console.out().print(line, soft_wrap=True)


@app.command()
def submit(
    sweep: SweepName,
    overrides: Overrides = None,
    launcher: Launcher = "local",
    root: Root = DEFAULT_ROOT,
    sweeps: Sweeps = None,
    json: Json = False,
) -> None:
    """Start a sweep and return at once.

    Reuses finished trials and leaves running ones alone; preempted and failed trials resume from their last
    checkpoint.
    """
    from orchestrator import service
    from orchestrator.cli import render
    from orchestrator.host import console, progress
    from orchestrator.planning.expand import expand
    from orchestrator.records.layout import Layout

    layout = Layout.of(root)
    with progress.shown(json=json):
        with progress.during("composing trials"):
            expanded = expand(sweep, overrides or (), sweeps_dir=sweeps)
        submission = service.submit(layout, expanded, launcher=launcher)
    if json:
        return console.print_json(submission.to_dict())
    console.out().print(render.plan_table(submission.plan))
    console.out().print(f"{console.counts_line(submission.plan.counts)}; {len(submission.started)} started")
    if launcher != "local" and submission.jobs:
        console.out().print(f"jobs: {', '.join(job.job_id for job in submission.jobs)}")
    console.out().print(f"watch: iwm status {submission.plan.sweep.name} --root {root}")
    if submission.links.page:
        console.out().print(f"page:  {submission.links.page}\nruns:  {submission.links.view}", soft_wrap=True)


@app.command()
def status(
    name: OneSweep = None,
    watch: Annotated[bool, typer.Option("--watch", help="Keep updating until all trials have ended.")] = False,
    root: Root = DEFAULT_ROOT,
    json: Json = False,
) -> None:
    """Show the state of every trial.

    Also detects lost workers and resumes preempted trials.
    """
    from orchestrator.cli import render, watching
    from orchestrator.host import console, progress
    from orchestrator.records import slurm_seen
    from orchestrator.records.layout import Layout

    layout = Layout.of(root)
    if json and watch:
        raise RequestError("--json is one document and --watch has no end: use one of them")
    if json:
        return console.print_json(render.status_json(watching.statuses(layout, name), seen=slurm_seen.read(layout)))
    if watch:
        from orchestrator.cli import watching

        return watching.watch(layout, name, console=console.out())
    with progress.shown():
        found = watching.statuses(layout, name)
    for table in watching.tables(layout, found):
        console.out().print(table)
    for line in watching.addresses(layout, found):
        console.out().print(line, soft_wrap=True)


@app.command()
def logs(
    trial: OneTrial,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Keep printing as the trial writes.")] = False,
    root: Root = DEFAULT_ROOT,
) -> None:
    """Print a trial's logs, oldest attempt first.

    --follow keeps printing, later attempts included, until the trial ends or Ctrl-C.
    """
    from orchestrator import service
    from orchestrator.cli import following
    from orchestrator.records.layout import Layout

    layout = Layout.of(root)
    with service.observed(layout) as store:
        (trial_id,) = service.find_trial(layout, store, trial).trial_ids
        if follow:
            return following.follow_logs(layout, trial_id, store)
    following.print_logs(layout, trial_id)


@app.command()
def report(
    sweep: Submitted,
    kind: Annotated[
        str, typer.Option("--format", autocompletion=completing.formats, help="md, html, tex or csv.")
    ] = "md",
    output: Output = None,
    root: Root = DEFAULT_ROOT,
) -> None:
    """Print a sweep's table, effects and findings."""
    from dashboards.report.content import checked, render
    from orchestrator import service
    from orchestrator.host import progress
    from orchestrator.records.layout import Layout

    layout, kind = Layout.of(root), checked(kind)
    with progress.shown(), service.observed(layout) as store:
        found = service.find_sweep(layout, store, sweep)
        with progress.during("writing the report"):
            text = render(found, format=kind)
    if output:
        output.write_text(text)
    else:
        sys.stdout.write(text)
