"""Verbs that act on trials: cancel, resume."""

from collections.abc import Sequence

import typer

from orchestrator.cli.application import app
from orchestrator.cli.options import DEFAULT_ROOT, Json, Names, Root


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


def _say(trial_ids: Sequence[str], *, verb: str, json: bool, printer) -> None:  # noqa: ANN001
    if json:
        return printer({verb: list(trial_ids)})
    typer.echo(f"{len(trial_ids)} {verb}" + "".join(f"\n  {key}" for key in trial_ids))
