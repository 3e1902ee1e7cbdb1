"""Verbs that train in this terminal: train, demo."""

import typer

from orchestrator.cli.application import app
from orchestrator.cli.options import DEFAULT_ROOT, Json, Launcher, Overrides, Root, Steps, Sweeps


@app.command()
def train(
    overrides: Overrides = None,
    root: Root = DEFAULT_ROOT,
    sweeps: Sweeps = None,
    json: Json = False,
) -> None:
    """Run one trial here, or go on with it.

    It has the same folder, journal and checkpoints as everywhere else: interrupted and run again, it goes on from its
    last checkpoint and ends with the same weights. Under torchrun or srun all ranks train it together.
    """
    from iwm_core.training.place import Place
    from orchestrator.host import console
    from orchestrator.launching.foreground import follow_here, train_here
    from orchestrator.planning.expand import single
    from orchestrator.records.layout import Layout

    cell, place = single(overrides or (), sweeps_dir=sweeps), Place.of()
    if place.rank:
        return follow_here(cell, place=place)
    ended = train_here(Layout.of(root), cell, place=place)
    if json:
        console.print_json(ended.to_json())
    else:
        console.out().print(ended.sentence())
    if not ended.finished:
        raise typer.Exit(1)


@app.command()
def demo(steps: Steps = None, launcher: Launcher = "local", root: Root = DEFAULT_ROOT) -> None:
    """Train a first ablation and show the answer.

    12 trials on real images, about a minute of one core each, one of them interrupted on purpose. With --launcher slurm
    on a throwaway SLURM of this machine, where two are preempted and one loses its node.
    """
    from orchestrator.records.layout import Layout

    if launcher == "local":
        from orchestrator.demo.here import run_demo as run
    else:
        from orchestrator.demo.on_slurm import run_demo_on_slurm as run
    run(Layout.of(root), steps=steps)
