"""Verbs that act on the trials of a root: cancel, hold, release, resume, sync, gc, serve."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.application import app, opened, respond
from orchestrator.cli.options import DEFAULT_ROOT, AnyNames, Json, Names, Root, Where
from orchestrator.errors import TrackingError

DONE = {"cancel": "cancelled", "hold": "held", "release": "released", "resume": "resumed"}
"""Verb -> how its output calls the trials that it acted on."""


@app.command()
def cancel(names: Names, where: Where = None, root: Root = DEFAULT_ROOT, json: Json = False) -> None:
    """Cancel trials.

    A running trial writes a checkpoint first; `iwm resume` starts it again.
    """
    _act("cancel", names, where, root=root, json=json)


@app.command()
def hold(names: Names, where: Where = None, root: Root = DEFAULT_ROOT, json: Json = False) -> None:
    """Hold trials until they are released.

    A running trial writes a checkpoint first and frees its GPU or slot.
    """
    _act("hold", names, where, root=root, json=json)


@app.command()
def release(names: Names, where: Where = None, root: Root = DEFAULT_ROOT, json: Json = False) -> None:
    """Release held trials."""
    _act("release", names, where, root=root, json=json)


@app.command()
def resume(names: Names, where: Where = None, root: Root = DEFAULT_ROOT, json: Json = False) -> None:
    """Resume cancelled, held, failed or preempted trials.

    Each trial continues from its last checkpoint, where it ran before: on SLURM or on this machine.
    """
    _act("resume", names, where, root=root, json=json)


def _act(verb: str, names: Sequence[str], where: Sequence[str] | None, *, root: Path, json: bool) -> None:
    """Apply the function of this name in `orchestrator.service` to the trials that are meant, and list the result."""
    from orchestrator import service
    from orchestrator.records.selection import select

    with opened(root, quiet=json) as (layout, store):
        targets = [service.find(layout, store, name) for name in names]
        chosen = dict.fromkeys(trial_id for target in targets for trial_id in target.trial_ids)
        records = [target.record for target in targets if target.record]
        places = {member.id: member.overrides for record in records for member in record.trials}
        done = getattr(service, verb)(layout, select(layout, list(chosen), where or (), places=places))
    respond({DONE[verb]: done}, "\n  ".join([f"{len(done)} {DONE[verb]}", *done]), json=json)


@app.command()
def sync(
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Rebuild the store from the files, then send what MLflow lacks.")
    ] = False,
    root: Root = DEFAULT_ROOT,
    json: Json = False,
) -> None:
    """Send metrics, states and reports to MLflow.

    Sending twice changes nothing.
    """
    from dashboards.publish import attach_reports
    from orchestrator.host import console
    from orchestrator.tracking import gather

    with opened(root, quiet=json) as (layout, store):
        try:
            sent = gather.rebuild(layout, store) if rebuild else gather.sync(layout, store)
            attach_reports(layout, store)
        except TrackingError as error:
            typer.echo(f"warning: {error}; no data is lost, run `iwm sync` when MLflow is back", err=True)
            return respond({"sent": 0, "warning": str(error)}, json=json)
    ui = gather.ui_command(layout, program=console.program("mlflow"))
    respond(sent.to_dict(), sent.sentence(), f"open the MLflow UI: {ui}", json=json)


@app.command()
def gc(
    names: AnyNames = None,
    apply: Annotated[bool, typer.Option("--apply", help="Delete the files; the default only lists them.")] = False,
    root: Root = DEFAULT_ROOT,
    json: Json = False,
) -> None:
    """Delete checkpoints that are no longer needed.

    Lists what would be freed; --apply deletes.
    """
    from orchestrator import service
    from orchestrator.records.checkpoints import collect

    with opened(root, quiet=json) as (layout, store):
        targets = [service.find(layout, store, name) for name in names or ()]
        chosen = [key for target in targets for key in target.trial_ids] if names else store.trial_ids()
        found = collect(layout, chosen, apply=apply)
    respond(found.to_dict(), found.sentence(), json=json)


@app.command()
def serve(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of the MLflow UI; 0 picks a free one.")
    ] = 5000,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; all but loopback require a password.")
    ] = "127.0.0.1",
    poll: Annotated[
        float, typer.Option("--poll", min=0.1, max=3600, help="Seconds between two checks of jobs and workers.")
    ] = 10.0,
    root: Root = DEFAULT_ROOT,
    json: Json = False,
) -> None:
    """Run the MLflow UI; keep metrics and trials up to date.

    Starts MLflow's tracking server with our pages at /iwm/ (grid, report and timeline of each sweep; each trial), sends
    it metrics, states and reports as they arrive, detects lost workers and resumes preempted trials. If
    MLFLOW_TRACKING_URI names a server, uses that one and serves only the pages. If MLFLOW_AUTH_ADMIN_PASSWORD is set,
    MLflow and the pages ask for a password. Training does not depend on this process: stop and start it at any time.
    """
    from orchestrator.records.layout import Layout
    from orchestrator.serving import serve as serving
    from orchestrator.serving.periodic import configure_logging
    from orchestrator.tracking.client import do_without_unused_libraries

    def announce(url: str, pages: str) -> None:
        line = f"MLflow UI: {url}  pages: {pages}/iwm/  (Ctrl-C stops the server; trials continue)"
        respond({"url": url, "pages": f"{pages}/iwm/", "pid": os.getpid()}, line, json=json)
        sys.stdout.flush()

    configure_logging()
    do_without_unused_libraries()
    serving.serve(Layout.of(root), host=host, port=port, poll_s=poll, announce=announce)
