"""The verbs about a trained model: evaluate, export."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli import completing
from orchestrator.cli.application import app
from orchestrator.cli.options import DEFAULT_ROOT, Json, Launcher, OneTrial, Overrides, Root, Sweeps, nameable

Tested = Annotated[
    str,
    typer.Argument(
        metavar="TRIAL",
        autocompletion=completing.trials,
        help="A trial's id or a unique prefix of it; or timm:NAME, a timm model.",
    ),
]
Protocol = Annotated[
    str | None,
    typer.Argument(
        metavar="[PROTOCOL]",
        autocompletion=completing.protocols,
        help="mrr, linear, knn, attentive, ...; default: those at the end of pretraining.",
    ),
]


@app.command()
def evaluate(
    trial: Tested,
    protocol: Protocol = None,
    overrides: Overrides = None,
    launcher: Launcher = "local",
    root: Root = DEFAULT_ROOT,
    sweeps: Sweeps = None,
    json: Json = False,
) -> None:
    """Evaluate a trial's final weights by another protocol.

    The evaluation is a trial of its own with the evaluated trial's settings; override those of evaluate.*, tune.*,
    data.* and resources.*. Returns at once. If the trial has not finished, the evaluation waits for it without
    occupying a slot or a GPU.
    """
    from orchestrator import service
    from orchestrator.cli import render
    from orchestrator.host import console
    from orchestrator.launching import dependency
    from orchestrator.planning import expand
    from orchestrator.records.layout import Layout

    layout, asked = Layout.of(root), expand.asked(protocol, overrides or ())
    if trial.startswith(expand.TIMM):
        parents, sweep = [], expand.evaluation_of_public(trial, asked, sweeps_dir=sweeps)
    else:
        with service.observed(layout) as store:
            parents = list(service.find_trial(layout, store, trial).trial_ids)
        parent = service.known_cell(layout, parents[0])
        sweep = expand.evaluation_of(parent, asked, sweeps_dir=sweeps)
    submission = service.submit(layout, sweep, launcher=launcher)
    if json:
        return console.print_json(submission.to_dict())
    console.out().print(render.plan_table(submission.plan))
    if dependency.unfinished(layout, parents):
        console.out().print(f"starts when trial {parents[0][:8]} has finished")
    console.out().print(f"watch: iwm status {submission.plan.sweep.name} --root {root}")


File = Annotated[
    Path | None, typer.Option("--output", "-o", callback=nameable, help="The file [encoder.pt in the trial's folder].")
]
Online = Annotated[bool, typer.Option("--online", help="The trained encoder itself, not its moving average.")]


@app.command()
def export(
    trial: OneTrial, output: File = None, online: Online = False, root: Root = DEFAULT_ROOT, json: Json = False
) -> None:
    """Write a trial's encoder as a file that timm loads.

    Exports the encoder's moving average by default. Prints the Python line that loads it; without --output the file is
    written to the trial's folder.
    """
    from orchestrator import service
    from orchestrator.host import console
    from orchestrator.records.layout import Layout
    from orchestrator.worker.export import export_encoder

    layout = Layout.of(root)
    with service.observed(layout) as store:
        (found,) = service.find_trial(layout, store, trial).trial_ids
    file, line = export_encoder(layout.trial(found), output=output, online=online)
    if json:
        return console.print_json({"file": str(file), "create_model": line})
    typer.echo(f"{file}\n{line}")
