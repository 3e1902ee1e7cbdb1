"""Verbs that look after a root: sync, gc."""

from typing import Annotated

import typer

from orchestrator.cli.application import app
from orchestrator.cli.options import DEFAULT_ROOT, AnyNames, Json, Root
from orchestrator.errors import TrackingError


@app.command()
def sync(
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Fold all files again; send what is missing.")] = False,
    root: Root = DEFAULT_ROOT,
    json: Json = False,
) -> None:
    """Send metrics, states and reports to MLflow.

    Sending twice changes nothing.
    """
    from dashboards.publish import attach_reports
    from orchestrator import service
    from orchestrator.host import console, progress
    from orchestrator.records.layout import Layout
    from orchestrator.tracking import gather

    layout = Layout.of(root)
    with progress.shown(json=json), service.observed(layout) as store:
        try:
            sent = gather.rebuild(layout, store) if rebuild else gather.sync(layout, store)
            attach_reports(layout, store)
        except TrackingError as warning:
            return _warn_unreachable(warning, json=json)
    if json:
        return console.print_json(sent.to_dict())
    console.out().print(sent.sentence())
    console.out().print(f"open the MLflow UI: {gather.ui_command(layout, program=console.program('mlflow'))}")


@app.command()
def gc(
    names: AnyNames = None,
    apply: Annotated[bool, typer.Option("--apply", help="Delete; without it nothing is deleted.")] = False,
    root: Root = DEFAULT_ROOT,
    json: Json = False,
) -> None:
    """Delete checkpoints that are no longer needed.

    Lists what would be freed; --apply deletes.
    """
    from orchestrator import service
    from orchestrator.host import console, progress
    from orchestrator.records.checkpoints import collect
    from orchestrator.records.layout import Layout

    layout = Layout.of(root)
    with progress.shown(json=json), service.observed(layout) as store:
        targets = [service.find(layout, store, name) for name in names or ()]
        chosen = [key for target in targets for key in target.trial_ids] if names else store.trial_ids()
        found = collect(layout, chosen, apply=apply)
    if json:
        return console.print_json(found.to_dict())
    console.out().print(found.sentence())


def _warn_unreachable(warning: TrackingError, *, json: bool) -> None:
    from orchestrator.host import console

    typer.echo(f"warning: {warning}; nothing is lost, run `iwm sync` when it is back", err=True)
    if json:
        console.print_json({"sent": 0, "warning": str(warning)})
