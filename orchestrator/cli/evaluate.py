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
        help="A trial's id, or its beginning; or timm:NAME, a model of timm.",
    ),
]
Protocol = Annotated[
    str | None,
    typer.Argument(
        metavar="[PROTOCOL]",
        autocompletion=completing.protocols,
        help="mrr, linear, knn, attentive, ...; as after pretraining where left out.",
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
    """Evaluate a trial's final weights in another way.

    The evaluation is a trial of its own, with the settings of the one that it evaluates; those of evaluate.*, tune.*,
    data.* and resources.* can be set anew. Returns at once. Where the trial has not finished the evaluation waits for
    it, without a slot or a GPU, and starts then.
    """
    from orchestrator import service
    from orchestrator.cli import render
    from orchestrator.host import console
    from orchestrator.launching import dependency
    from orchestrator.planning import evaluation
    from orchestrator.records.layout import Layout

    layout, asked = Layout.of(root), evaluation.asked(protocol, overrides or ())
    if trial.startswith(evaluation.TIMM):
        parents, sweep = [], evaluation.evaluation_of_public(trial, asked, sweeps_dir=sweeps)
    else:
        with service.observed(layout) as store:
            parents = list(service.find_trial(layout, store, trial).trial_ids)
        parent = service.known_cell(layout, parents[0])
        sweep = evaluation.evaluation_of(parent, asked, sweeps_dir=sweeps)
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

    The moving average of the encoder by default. Prints the line of Python that loads it; without --output the file
    lies in the trial's folder.
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
