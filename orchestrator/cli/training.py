"""Verbs about one trial: evaluate, export, train, demo, verify-resume."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli import completing
from orchestrator.cli.application import app, opened, respond, status_line
from orchestrator.cli.options import (
    DEFAULT_ROOT,
    Json,
    Launcher,
    OneTrial,
    Overrides,
    Root,
    Sweeps,
    argument,
    output_option,
)

Tested = Annotated[
    str, argument("TRIAL", completing.trials, "A trial's id or a unique prefix of it; or timm:NAME, a timm model.")
]
Protocol = Annotated[
    str | None,
    argument(
        "[PROTOCOL]",
        completing.protocols,
        "mrr, linear, knn, attentive, ...; default: mrr and linear.",
    ),
]
File = Annotated[Path | None, output_option("Output file [encoder.pt in the trial's folder].")]
Online = Annotated[
    bool, typer.Option("--online", help="Export the trained encoder instead of its moving average (EMA).")
]
Steps = Annotated[
    int | None, typer.Option("--steps", min=1, max=1_000_000_000, help="Steps per trial; default: the sweep's.")
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
    """Evaluate a trial's final weights with another protocol.

    The evaluation is a trial of its own with the evaluated trial's settings; override those of evaluate.*, tune.*,
    data.* and resources.*. Returns at once. If the trial has not finished, the evaluation waits for it without
    occupying a slot or a GPU.
    """
    from orchestrator import service
    from orchestrator.cli import render
    from orchestrator.launching import dependency
    from orchestrator.planning import expand
    from orchestrator.records.layout import Layout

    layout, asked = Layout.of(root), expand.asked(protocol, overrides or ())
    if trial.startswith(expand.TIMM):
        parents, sweep = [], expand.evaluation_of_public(trial, asked, sweeps_dir=sweeps)
    else:
        with opened(root, quiet=json) as (layout, store):
            parents = list(service.find_trial(layout, store, trial).trial_ids)
        sweep = expand.evaluation_of(service.known_cell(layout, parents[0]), asked, sweeps_dir=sweeps)
    submission = service.submit(layout, sweep, launcher=launcher)
    lines = [f"starts when trial {parents[0][:8]} has finished"] if dependency.unfinished(layout, parents) else []
    watch = status_line(sweep.name, root)
    respond(submission.to_dict(), render.plan_table(submission.plan), *lines, watch, json=json)


@app.command()
def export(
    trial: OneTrial, output: File = None, online: Online = False, root: Root = DEFAULT_ROOT, json: Json = False
) -> None:
    """Write a trial's encoder as a file that timm loads.

    Exports the encoder's moving average by default. Prints the Python line that loads it; without --output the file is
    written to the trial's folder.
    """
    from orchestrator import service
    from orchestrator.worker.export import export_encoder

    with opened(root, quiet=json) as (layout, store):
        (found,) = service.find_trial(layout, store, trial).trial_ids
    file, line = export_encoder(layout.trial(found), output=output, online=online)
    respond({"file": str(file), "create_model": line}, f"{file}\n{line}", json=json)


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
    from orchestrator.launching.foreground import follow_here, train_here
    from orchestrator.planning.expand import single
    from orchestrator.records.layout import Layout

    cell, place = single(overrides or (), sweeps_dir=sweeps), Place.of()
    if place.rank:
        return follow_here(cell, place=place)
    ended = train_here(Layout.of(root), cell, place=place)
    respond(ended.to_json(), ended.sentence(), json=json)
    if not ended.finished:
        raise typer.Exit(1)


@app.command()
def demo(steps: Steps = None, launcher: Launcher = "local", root: Root = DEFAULT_ROOT) -> None:
    """Train a first ablation and print its findings.

    Trains 12 models on real images, about a minute of one core each, and interrupts one on purpose. --launcher slurm
    runs them on a throwaway SLURM on this machine that preempts two and crashes the node of a third.
    """
    from orchestrator.records.layout import Layout

    if launcher == "local":
        from orchestrator.demo.here import run_demo as run
    else:
        from orchestrator.demo.on_slurm import run_demo_on_slurm as run
    run(Layout.of(root), steps=steps)


@app.command("verify-resume")
def verify_resume(
    overrides: Overrides = None,
    steps: Annotated[int, typer.Option("--steps", min=16, max=100_000, help="Training steps of each run.")] = 40,
    sweeps: Sweeps = None,
    json: Json = False,
) -> None:
    """Check that interrupted runs end bit-identical.

    Trains a short version of the configuration twice in a temporary folder, once uninterrupted and once interrupted by
    SIGKILL and SIGTERM, and compares the weights and every metric at every step. Exits with 1 if anything differs.
    """
    from orchestrator.doctor import verify_resume as verification
    from orchestrator.host import console

    verdict = verification.verify_resume(overrides or (), steps=steps, sweeps=sweeps, say=console.err().print)
    respond(verdict.to_dict(), verification.verdict_table(verdict), *verdict.sentences(), json=json)
    if not verdict.equal:
        raise typer.Exit(1)
