"""The verb about a trained model: evaluate."""

from orchestrator.cli.application import app
from orchestrator.cli.options import DEFAULT_ROOT, Json, Launcher, OneTrial, Overrides, Root, Sweeps


@app.command()
def evaluate(
    trial: OneTrial,
    overrides: Overrides = None,
    launcher: Launcher = "local",
    root: Root = DEFAULT_ROOT,
    sweeps: Sweeps = None,
    json: Json = False,
) -> None:
    """Evaluate a trial's final weights in another way.

    The evaluation is a trial of its own, with the settings of the one that it evaluates; those of evaluate.* and
    resources.* can be set anew. Returns at once. Where the trial has not finished the evaluation waits for it, without
    a slot or a GPU, and starts then.
    """
    from orchestrator import dependency, render, service
    from orchestrator.evaluation import submit_evaluation
    from orchestrator.layout import Layout

    layout = Layout.of(root)
    with service.observed(layout) as store:
        (parent,) = service.find_trial(layout, store, trial).trial_ids
    submission = submit_evaluation(layout, parent, overrides or (), launcher=launcher, sweeps_dir=sweeps)
    if json:
        return render.print_json(submission.to_dict())
    render.out().print(render.plan_table(submission.plan))
    if dependency.unfinished(layout, [parent]):
        render.out().print(f"starts when trial {parent[:8]} has finished")
    render.out().print(f"watch: iwm status {submission.plan.sweep.name} --root {root}")
