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
    """Train one trial in this terminal, or resume it.

    Uses the same folder, journal and checkpoints as any launcher: interrupted and run again, it resumes from its last
    checkpoint and ends with the same weights. Under torchrun or srun all ranks train it together.
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
    """Train a first ablation and print its answer.

    Trains 12 models on real images, about a minute of one core each, and interrupts one on purpose. --launcher slurm
    runs them on a throwaway SLURM on this machine that preempts two and crashes the node of a third.
    """
    from orchestrator.records.layout import Layout

    if launcher == "local":
        from orchestrator.demo.here import run_demo as run
    else:
        from orchestrator.demo.on_slurm import run_demo_on_slurm as run
    run(Layout.of(root), steps=steps)
