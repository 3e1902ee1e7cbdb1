"""The verb about a trained model: evaluate."""

from typing import Annotated

import typer

from orchestrator.cli import completing
from orchestrator.cli.application import app
from orchestrator.cli.options import DEFAULT_ROOT, Json, Launcher, Overrides, Root, Sweeps

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
    from orchestrator import dependency, evaluation, render, service
    from orchestrator.layout import Layout

    layout, asked = Layout.of(root), evaluation.asked(protocol, overrides or ())
    if trial.startswith(evaluation.TIMM):
        parents = []
        submission = evaluation.submit_public(layout, trial, asked, launcher=launcher, sweeps_dir=sweeps)
    else:
        with service.observed(layout) as store:
            parents = list(service.find_trial(layout, store, trial).trial_ids)
        submission = evaluation.submit_evaluation(layout, parents[0], asked, launcher=launcher, sweeps_dir=sweeps)
    if json:
        return render.print_json(submission.to_dict())
    render.out().print(render.plan_table(submission.plan))
    if dependency.unfinished(layout, parents):
        render.out().print(f"starts when trial {parents[0][:8]} has finished")
    render.out().print(f"watch: iwm status {submission.plan.sweep.name} --root {root}")
