"""The verb that gives a trained encoder to others: export."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.application import app
from orchestrator.cli.options import DEFAULT_ROOT, Json, OneTrial, Root, nameable

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
