"""Verbs that act on trials: cancel, hold, release, resume."""

from collections.abc import Callable, Sequence
from pathlib import Path

import typer

from orchestrator.cli.application import app
from orchestrator.cli.options import DEFAULT_ROOT, Json, Names, Root, Where


@app.command()
def cancel(names: Names, where: Where = None, root: Root = DEFAULT_ROOT, json: Json = False) -> None:
    """Cancel trials.

    A running trial writes a checkpoint first; `iwm resume` starts it again.
    """
    from orchestrator import service

    _act(service.cancel, names, where, root=root, verb="cancelled", json=json)


@app.command()
def hold(names: Names, where: Where = None, root: Root = DEFAULT_ROOT, json: Json = False) -> None:
    """Hold trials until they are released.

    A running trial writes a checkpoint first and frees its GPU or slot.
    """
    from orchestrator import service

    _act(service.hold, names, where, root=root, verb="held", json=json)


@app.command()
def release(names: Names, where: Where = None, root: Root = DEFAULT_ROOT, json: Json = False) -> None:
    """Release held trials."""
    from orchestrator import service

    _act(service.release, names, where, root=root, verb="released", json=json)


@app.command()
def resume(names: Names, where: Where = None, root: Root = DEFAULT_ROOT, json: Json = False) -> None:
    """Resume cancelled, held, failed or preempted trials.

    Each trial continues from its last checkpoint, where it ran before: on SLURM or on this machine.
    """
    from orchestrator import service

    _act(service.resume, names, where, root=root, verb="resumed", json=json)


def _act(
    action: Callable[..., list[str]],
    names: Sequence[str],
    where: Sequence[str] | None,
    *,
    root: Path,
    verb: str,
    json: bool,
) -> None:
    from orchestrator import service
    from orchestrator.host import console, progress
    from orchestrator.records.layout import Layout
    from orchestrator.records.selection import select

    layout = Layout.of(root)
    with progress.shown(json=json), service.observed(layout) as store:
        targets = [service.find(layout, store, name) for name in names]
        chosen = dict.fromkeys(trial_id for target in targets for trial_id in target.trial_ids)
        records = [target.record for target in targets if target.record]
        places = {member.id: member.overrides for record in records for member in record.trials}
        done = action(layout, select(layout, list(chosen), where or (), places=places))
    if json:
        return console.print_json({verb: done})
    typer.echo(f"{len(done)} {verb}" + "".join(f"\n  {key}" for key in done))
