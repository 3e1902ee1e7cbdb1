"""The verb `iwm serve`."""

import os
import sys
from functools import partial
from typing import Annotated

import typer

from orchestrator.cli.application import app
from orchestrator.cli.options import DEFAULT_ROOT, Json, Root


@app.command()
def serve(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port of the MLflow UI; 0: a free one.")] = 5000,
    host: Annotated[
        str, typer.Option("--host", help="Any address but this machine's own needs a password.")
    ] = "127.0.0.1",
    poll: Annotated[
        float, typer.Option("--poll", min=0.1, max=3600, help="Seconds between looks at jobs and workers.")
    ] = 10.0,
    root: Root = DEFAULT_ROOT,
    json: Json = False,
) -> None:
    """Run the MLflow UI; keep metrics and trials up to date.

    Starts MLflow's tracking server with our pages beside it (/iwm/: a sweep as a grid, its answer, its time line, each
    trial), sends metrics, states and reports to it as they arrive, detects lost workers and resumes preempted trials.
    If MLFLOW_TRACKING_URI names a server, that server is used, and only the pages are served here. If
    MLFLOW_AUTH_ADMIN_PASSWORD is set, MLflow and the pages ask for a password. Training does not depend on it: stop
    and start it at any time.
    """
    from orchestrator.records.layout import Layout
    from orchestrator.serving import serve as serving
    from orchestrator.serving.remarks import speak
    from orchestrator.tracking.client import do_without_unused_libraries

    speak()
    do_without_unused_libraries()
    serving.serve(Layout.of(root), host=host, port=port, poll_s=poll, announce=partial(_announce, json=json))


def _announce(url: str, pages: str, *, json: bool) -> None:
    """One line, at once."""
    from orchestrator.host import console

    if json:
        console.print_json({"url": url, "pages": f"{pages}/iwm/", "pid": os.getpid()})
    else:
        typer.echo(f"MLflow UI: {url}  pages: {pages}/iwm/  (Ctrl-C ends it; trials go on)")
    sys.stdout.flush()
