"""Verbs that check before a sweep runs: verify-resume, doctor."""

from typing import Annotated

import typer

from orchestrator.cli.application import app
from orchestrator.cli.options import DEFAULT_ROOT, Json, Overrides, Root, Sweeps
from orchestrator.errors import RequestError


@app.command("verify-resume")
def verify_resume(
    overrides: Overrides = None,
    steps: Annotated[int, typer.Option("--steps", min=16, max=100_000, help="Steps of the twin.")] = 40,
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
    if json:
        console.print_json(verdict.to_dict())
    else:
        console.out().print(verification.verdict_table(verdict))
        console.out().print(*verdict.sentences(), sep="\n", soft_wrap=True)
    if not verdict.equal:
        raise typer.Exit(1)


@app.command()
def doctor(
    overrides: Overrides = None,
    canary: Annotated[bool, typer.Option("--canary", help="Also run and preempt a small trial.")] = False,
    partitions: Annotated[
        list[str] | None, typer.Option("--partition", help="Partition of the canary; can be repeated.")
    ] = None,
    wait: Annotated[
        float, typer.Option("--wait", min=0.1, max=10_000, help="Minutes a canary may wait at each stage.")
    ] = 10,
    root: Root = DEFAULT_ROOT,
    sweeps: Sweeps = None,
    json: Json = False,
) -> None:
    """Check whether this host or cluster can run sweeps.

    Checks versions, SLURM's partitions and settings, the root's file system, the database and MLflow, and gives a
    verdict for each. Starts no job and leaves nothing behind. With --canary it also runs a small trial that is
    preempted twice and must resume each time; overrides apply to it, such as resources.account=mine. Exits with 1 if a
    check failed.
    """
    from orchestrator.doctor import CanaryRequest, examine
    from orchestrator.host import console
    from orchestrator.records.layout import Layout

    if (overrides or partitions) and not canary:
        raise RequestError("overrides and --partition are for a canary: add --canary")
    request = CanaryRequest(
        partitions=tuple(partitions or ()), overrides=tuple(overrides or ()), sweeps=sweeps, wait_s=wait * 60
    )
    report = examine(Layout.of(root), request=request if canary else None, say=console.err().print)
    if json:
        console.print_json(report.to_dict())
    else:
        console.out().print(report.table())
        console.out().print(console.counts_line(report.counts()))
    if report.failed:
        raise typer.Exit(1)
