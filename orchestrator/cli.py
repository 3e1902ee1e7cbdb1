"""The command line: each verb parses, calls and renders. Heavy imports stay inside the verbs, so that help is instant.

Exit codes: 0 done, 1 something the user asked for failed, 2 the request itself was wrong, 130 interrupted.
Tables and JSON go to standard output, progress and remarks to standard error.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from iwm_core.errors import ConfigError, CoreError, DataError
from orchestrator.errors import IwmError, RequestError, TrackingError

app = typer.Typer(
    name="iwm",
    help="Ablations of Image World Models: submit sweeps, watch them, and have every run resume by itself.",
    add_completion=True,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Root = Annotated[Path, typer.Option("--root", envvar="IWM_ROOT", help="Folder of sweeps, trials and databases.")]
Sweeps = Annotated[Path | None, typer.Option("--sweeps", help="Folder of your own sweeps and groups [./sweeps].")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
SweepName = Annotated[str, typer.Argument(metavar="SWEEP", help="Name of a sweep, or the path of its YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="OVERRIDE", help="As in Hydra: predictor.depth=6,12 conditioning=none seed=range(3)"),
]
Names = Annotated[list[str], typer.Argument(metavar="SWEEP|TRIAL", help="Names or ids of sweeps, or ids of trials.")]
OneSweep = Annotated[str | None, typer.Argument(metavar="SWEEP", help="A sweep's name or id; all where left out.")]
Submitted = Annotated[str, typer.Argument(metavar="SWEEP", help="A submitted sweep's name or id.")]
AnyNames = Annotated[list[str] | None, typer.Argument(metavar="SWEEP|TRIAL", help="All trials where left out.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="File to write instead of standard output.")]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Steps per trial, instead of the sweep's.")]
OneTrial = Annotated[str, typer.Argument(metavar="TRIAL", help="A trial's id, or its beginning.")]
DEFAULT_ROOT = Path("runs")


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Options of every verb; `main` reads --debug wherever it stands."""


@app.command()
def plan(
    sweep: SweepName,
    overrides: Overrides = None,
    root: Root = DEFAULT_ROOT,
    sweeps: Sweeps = None,
    json: Json = False,
) -> None:
    """Show what submitting a sweep would do. Starts nothing and writes nothing."""
    from orchestrator import render
    from orchestrator.expand import expand
    from orchestrator.layout import Layout
    from orchestrator.planning import plan_sweep

    planned = plan_sweep(Layout.of(root), expand(sweep, overrides or (), sweeps_dir=sweeps))
    if json:
        return render.print_json(planned.to_dict())
    render.out().print(render.plan_table(planned))
    render.out().print(render.counts_line(planned.counts))


@app.command()
def submit(
    sweep: SweepName,
    overrides: Overrides = None,
    launcher: Annotated[str, typer.Option("--launcher", help="Where trials run: local.")] = "local",
    root: Root = DEFAULT_ROOT,
    sweeps: Sweeps = None,
    json: Json = False,
) -> None:
    """Start a sweep and return at once.

    Trials that are finished are reused, those under way are left alone, preempted and failed ones go on from their last
    checkpoint.
    """
    from orchestrator import render, service
    from orchestrator.expand import expand
    from orchestrator.layout import Layout

    if launcher != "local":
        raise RequestError(f"unknown launcher '{launcher}'; choose from local")
    layout = Layout.of(root)
    submission = service.submit(layout, expand(sweep, overrides or (), sweeps_dir=sweeps))
    if json:
        return render.print_json(submission.to_dict())
    render.out().print(render.plan_table(submission.plan))
    render.out().print(f"{render.counts_line(submission.plan.counts)}; {len(submission.started)} started")
    render.out().print(f"watch: iwm status {submission.plan.sweep.name} --root {root}")


@app.command()
def status(
    name: OneSweep = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds.")] = False,
    root: Root = DEFAULT_ROOT,
    json: Json = False,
) -> None:
    """Show where every trial stands.

    Also names lost workers, and sees to it that preempted trials go on.
    """
    from orchestrator import render, watching
    from orchestrator.layout import Layout

    layout = Layout.of(root)
    if json:
        return render.print_json(render.status_json(watching.statuses(layout, name)))
    if watch:
        return watching.watch(layout, name)
    for results in watching.statuses(layout, name):
        render.out().print(render.status_table(results))


@app.command()
def logs(
    trial: OneTrial,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as the trial writes.")] = False,
    root: Root = DEFAULT_ROOT,
) -> None:
    """Print what a trial's attempts wrote, oldest first."""
    from orchestrator import service, watching
    from orchestrator.layout import Layout

    layout = Layout.of(root)
    with service.observed(layout) as store:
        (trial_id,) = service.find_trial(layout, store, trial).trial_ids
    watching.print_logs(layout.trial(trial_id), follow=follow)


@app.command()
def cancel(names: Names, root: Root = DEFAULT_ROOT, json: Json = False) -> None:
    """End trials on purpose.

    A running one checkpoints first, and `iwm resume` brings it back.
    """
    from orchestrator import render, service
    from orchestrator.layout import Layout

    layout = Layout.of(root)
    with service.observed(layout) as store:
        targets = [service.find(layout, store, name) for name in names]
        done = [key for target in targets for key in service.cancel(layout, target.trial_ids)]
    _say(done, verb="cancelled", json=json, printer=render.print_json)


@app.command()
def resume(names: Names, root: Root = DEFAULT_ROOT, json: Json = False) -> None:
    """Go on with what was cancelled, failed or preempted.

    Each trial starts from its last checkpoint.
    """
    from orchestrator import render, service
    from orchestrator.layout import Layout

    layout = Layout.of(root)
    with service.observed(layout) as store:
        targets = [service.find(layout, store, name) for name in names]
        done = [key for target in targets for key in service.resume(layout, target)]
    _say(done, verb="resumed", json=json, printer=render.print_json)


@app.command()
def sync(
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make both databases anew from the files.")] = False,
    root: Root = DEFAULT_ROOT,
    json: Json = False,
) -> None:
    """Send metrics, states and reports to MLflow.

    Sending twice changes nothing.
    """
    from dashboards.publish import attach_reports
    from orchestrator import gather, render, service
    from orchestrator.layout import Layout

    layout = Layout.of(root)
    with service.observed(layout) as store:
        try:
            sent = gather.rebuild(layout, store) if rebuild else gather.sync(layout, store)
            attach_reports(layout, store)
        except TrackingError as warning:
            return _warn_unreachable(warning, json=json)
    if json:
        return render.print_json(sent.to_dict())
    render.out().print(sent.sentence())
    render.out().print(f"open the MLflow UI: {gather.ui_command(layout, program=render.program('mlflow'))}")


@app.command()
def report(
    sweep: Submitted,
    kind: Annotated[str, typer.Option("--format", help="md, html, tex or csv.")] = "md",
    output: Output = None,
    root: Root = DEFAULT_ROOT,
) -> None:
    """Print a sweep's table, effects and findings."""
    from dashboards.publish import render_report
    from orchestrator import service
    from orchestrator.layout import Layout

    layout = Layout.of(root)
    with service.observed(layout) as store:
        text = render_report(service.find_sweep(layout, store, sweep), kind=kind)
    if output:
        output.write_text(text)
    else:
        sys.stdout.write(text)


@app.command()
def train(
    overrides: Overrides = None,
    root: Root = DEFAULT_ROOT,
    sweeps: Sweeps = None,
    json: Json = False,
) -> None:
    """Run one trial here, or go on with it.

    It has the same folder, journal and checkpoints as everywhere else: interrupted and run again, it goes on from its
    last checkpoint and ends with the same weights.
    """
    from orchestrator import render
    from orchestrator.expand import single
    from orchestrator.foreground import train_here
    from orchestrator.layout import Layout

    cell = single(overrides or (), sweeps_dir=sweeps)
    ended = train_here(Layout.of(root), cell)
    if json:
        render.print_json(ended.to_json())
    else:
        render.out().print(ended.sentence())
    if not ended.finished:
        raise typer.Exit(1)


@app.command()
def gc(
    names: AnyNames = None,
    apply: Annotated[bool, typer.Option("--apply", help="Delete; without it nothing is touched.")] = False,
    root: Root = DEFAULT_ROOT,
    json: Json = False,
) -> None:
    """Delete checkpoints that nobody needs.

    Says what that would free; --apply deletes them.
    """
    from orchestrator import render, service
    from orchestrator.collect import collect
    from orchestrator.layout import Layout

    layout = Layout.of(root)
    with service.observed(layout) as store:
        targets = [service.find(layout, store, name) for name in names or ()]
        chosen = [key for target in targets for key in target.trial_ids] if names else store.trial_ids()
    found = collect(layout, chosen, apply=apply)
    if json:
        return render.print_json(found.to_dict())
    render.out().print(found.sentence())


@app.command()
def demo(steps: Steps = None, root: Root = DEFAULT_ROOT) -> None:
    """Train a first ablation and show the answer.

    12 trials on real images, about a minute of one core each, one of them interrupted on purpose.
    """
    from orchestrator.demo import run_demo
    from orchestrator.layout import Layout

    run_demo(Layout.of(root), steps=steps)


def _say(trial_ids: Sequence[str], *, verb: str, json: bool, printer) -> None:  # noqa: ANN001
    if json:
        return printer({verb: list(trial_ids)})
    typer.echo(f"{len(trial_ids)} {verb}" + "".join(f"\n  {key}" for key in trial_ids))


def _warn_unreachable(warning: TrackingError, *, json: bool) -> None:
    from orchestrator import render

    typer.echo(f"warning: {warning}; nothing is lost, run `iwm sync` when it is back", err=True)
    if json:
        render.print_json({"sent": 0, "warning": str(warning)})


def main(arguments: Sequence[str] | None = None) -> None:
    """The console command `iwm`: turns what went wrong into plain lines and an exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words or bool(os.environ.get("IWM_DEBUG"))
    sys.exit(_run([word for word in words if word != "--debug"], debug=debug))


def _run(words: list[str], *, debug: bool) -> int:
    try:
        return app(words, standalone_mode=False) or 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        message, code = explain(error)
        typer.echo(f"iwm: {message}", err=True)
        return code


def explain(error: BaseException) -> tuple[str, int]:
    """One or two plain lines for an error, and the exit code."""
    match error:
        case typer.Abort() | KeyboardInterrupt():
            return "interrupted", 130
        case typer.TyperException():
            return f"{error.format_message()} Try: iwm --help", error.exit_code
        case IwmError():
            return str(error), error.exit_code
        case ConfigError() | DataError():
            return str(error), 2
        case CoreError():
            return str(error), 1
    detail = " ".join(f"{type(error).__name__}: {error}".split())
    return f"unexpected {detail} (--debug shows the traceback)", 1


if __name__ == "__main__":
    main()
