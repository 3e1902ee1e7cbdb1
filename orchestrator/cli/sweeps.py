"""Verbs about sweeps: plan, submit, status, logs, report."""

import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli import completing
from orchestrator.cli.application import app, opened, respond, status_line
from orchestrator.cli.options import (
    DEFAULT_ROOT,
    Json,
    Launcher,
    OneSweep,
    OneTrial,
    Overrides,
    Root,
    Submitted,
    SweepName,
    Sweeps,
    output_option,
)
from orchestrator.errors import RequestError


@app.command(name="sweeps")
def known_sweeps(sweeps: Sweeps = None, json: Json = False) -> None:
    """List the sweeps that can be submitted.

    Packaged sweeps and those in ./sweeps, each with its description.
    """
    from orchestrator.cli import render
    from orchestrator.planning.expand import sweep_names

    names = sweep_names(sweeps)
    respond(names, render.names_table(names), json=json)


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
    with progress.shown(json=json), progress.during("composing trials and reading earlier ones"):
        expanded = expand(sweep, overrides or (), sweeps_dir=sweeps)
        known = outlines(layout, (cell.trial.id for cell in expanded.cells))
        planned = plan_sweep(layout, expanded, read={key: status.state for key, status in known.items()})
        foreseen = forecast_plan(layout, planned, known=known, launcher=launcher)
    lines = (console.counts_line(planned.counts), *foreseen.lines(now=time.time()))
    document = planned.to_dict() | {"forecast": foreseen.to_dict()}
    respond(document, render.plan_table(planned), *lines, json=json)


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
    planned, links = submission.plan, submission.links
    lines = [f"{console.counts_line(planned.counts)}; {len(submission.started)} started"]
    if launcher != "local" and submission.jobs:
        lines.append(f"jobs: {', '.join(job.job_id for job in submission.jobs)}")
    lines.append(status_line(planned.sweep.name, root))
    if links.page:
        lines += [f"page:  {links.page}", f"runs:  {links.view}"]
    respond(submission.to_dict(), render.plan_table(planned), *lines, json=json)


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
    from orchestrator.host import console
    from orchestrator.records import slurm_seen
    from orchestrator.records.layout import Layout

    if json and watch:
        raise RequestError("--json prints one document and --watch keeps printing: use one of them", setting="watch")
    if watch:
        return watching.watch(Layout.of(root), name, console=console.out())
    with opened(root, quiet=json) as (layout, store):
        found = watching.read(layout, store, name)
        if json:
            return console.print_json(render.status_json(found, seen=slurm_seen.read(layout)))
        respond(None, *watching.tables(layout, found), *watching.addresses(layout, store, found), json=False)


@app.command()
def logs(
    trial: OneTrial,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Keep printing new output until the trial ends.")
    ] = False,
    root: Root = DEFAULT_ROOT,
) -> None:
    """Print a trial's logs, oldest attempt first.

    --follow keeps printing, later attempts included, until the trial ends or Ctrl-C.
    """
    from orchestrator import service
    from orchestrator.cli import following

    with opened(root, quiet=True) as (layout, store):
        (trial_id,) = service.find_trial(layout, store, trial).trial_ids
        following.print_logs(layout, trial_id, observe=partial(service.observe, layout, store) if follow else None)


@app.command()
def report(
    sweep: Submitted,
    kind: Annotated[
        str, typer.Option("--format", autocompletion=completing.formats, help="md, html, tex or csv.")
    ] = "md",
    output: Annotated[Path | None, output_option("File to write instead of standard output.")] = None,
    root: Root = DEFAULT_ROOT,
) -> None:
    """Print a sweep's table, effects and findings."""
    from dashboards.report.content import checked, render
    from orchestrator import service
    from orchestrator.host import progress

    kind = checked(kind)
    with opened(root) as (layout, store):
        found = service.find_sweep(layout, store, sweep)
        with progress.during("writing the report"):
            text = render(found, format=kind)
    if output:
        output.write_text(text)
    else:
        sys.stdout.write(text)
