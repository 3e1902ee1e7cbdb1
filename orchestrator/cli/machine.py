"""Verbs about this machine: `iwm doctor` checks it, `iwm cluster` boots a real throwaway SLURM on it."""

import shlex
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.application import app, respond
from orchestrator.cli.options import DEFAULT_ROOT, Json, Overrides, Root, Sweeps, nameable
from orchestrator.errors import RequestError

if TYPE_CHECKING:
    from orchestrator.devcluster import DevCluster


@app.command()
def doctor(
    overrides: Overrides = None,
    canary: Annotated[bool, typer.Option("--canary", help="Also submit a small trial and preempt it.")] = False,
    partitions: Annotated[
        list[str] | None, typer.Option("--partition", help="Partition of the canary; can be repeated.")
    ] = None,
    wait: Annotated[
        float, typer.Option("--wait", min=0.1, max=10_000, help="Maximum minutes to wait at each stage of a canary.")
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
        raise RequestError("overrides and --partition apply to the canary only: add --canary", setting="canary")
    request = CanaryRequest(
        partitions=tuple(partitions or ()), overrides=tuple(overrides or ()), sweeps=sweeps, wait_s=wait * 60
    )
    report = examine(Layout.of(root), request=request if canary else None, say=console.err().print)
    respond(report.to_dict(), report.table(), console.counts_line(report.counts()), json=json)
    if report.failed:
        raise typer.Exit(1)


cluster = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(
    cluster,
    name="cluster",
    help="Boot a real throwaway SLURM on this machine.\n\n"
    "munge, MariaDB, slurmdbd, slurmctld and nodes with fake GPUs, in one directory, as any user; nothing outside "
    "the directory is touched. Partitions: gpu (preempted and requeued; the default), short (the same, one minute), "
    "cancel (preempted and not requeued), urgent (preempts all of them).",
)

Directory = Annotated[
    Path | None,
    typer.Option(
        "--dir", callback=nameable, help="Directory of the cluster [$TMPDIR/iwm-cluster-USER]; one cluster each."
    ),
]
Daemons = Annotated[list[str], typer.Argument(metavar="NAME", help="munged, mariadbd, slurmdbd, slurmctld, n1, n2 ...")]


@cluster.command()
def up(
    directory: Directory = None,
    nodes: Annotated[int, typer.Option("--nodes", help="Number of nodes.")] = 4,
    gpus: Annotated[int, typer.Option("--gpus", help="GPUs per node.")] = 2,
    cpus: Annotated[int, typer.Option("--cpus", help="CPUs per node.")] = 4,
    memory: Annotated[int, typer.Option("--mem", help="MB of memory per node.")] = 16000,
    grace: Annotated[int, typer.Option("--grace", help="Minimum grace period of a preempted job, in seconds.")] = 5,
    kill_wait: Annotated[int, typer.Option("--kill-wait", help="Seconds between SIGTERM and SIGKILL.")] = 3,
    requeue_delay: Annotated[
        int, typer.Option("--requeue-delay", help="Seconds before a requeued job may start again.")
    ] = 5,
    node_timeout: Annotated[
        int, typer.Option("--node-timeout", help="Seconds until an unresponsive node counts as down.")
    ] = 10,
    user_signal: Annotated[
        bool,
        typer.Option(
            "--user-signal", help="On preemption, first send the signal that the job requested with --signal."
        ),
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a setting of slurm.conf; can be repeated."),
    ] = None,
) -> None:
    """Boot a cluster, in seconds.

    Prints the export lines that select it: eval "$(iwm cluster up)".
    """
    from orchestrator.devcluster import ClusterSpec, DevCluster

    spec = ClusterSpec(
        nodes=nodes,
        gpus=gpus,
        cpus=cpus,
        memory_mb=memory,
        grace_s=grace,
        kill_wait_s=kill_wait,
        requeue_delay_s=requeue_delay,
        node_timeout_s=node_timeout,
        user_signal=user_signal,
        settings=tuple(settings or ()),
    )
    began = time.monotonic()
    booted = DevCluster.up(directory or default_directory(), spec=spec)
    typer.echo(f"{nodes} nodes up in {time.monotonic() - began:.1f} s in {booted.directory}", err=True)
    typer.echo(_export(booted))


@cluster.command()
def down(
    directory: Directory = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the directory with its logs and saved state.")] = False,
) -> None:
    """End a cluster and all its jobs, and delete its directory."""
    ended = _cluster(directory)
    ended.down(keep=keep)
    typer.echo(f"{ended.directory} {'is down; its files are kept' if keep else 'is deleted'}", err=True)


@cluster.command()
def status(directory: Directory = None, json: Json = False) -> None:
    """Show daemons, nodes and jobs; exits with 1 if a daemon is down."""
    from orchestrator.devcluster.overview import to_row
    from orchestrator.host import console

    seen = _cluster(directory).status()
    shown: list[object] = [", ".join(f"{name} {pid or 'DOWN'}" for name, pid in seen.daemons.items())]
    for title, items in (("nodes", seen.nodes), ("jobs", seen.jobs)):
        rows = [to_row(item) for item in items]
        shown.append(console.table(title, rows[0], [row.values() for row in rows]) if rows else f"no {title}")
    respond(seen.to_dict(), *shown, json=json)
    if seen.down:
        raise typer.Exit(1)


@cluster.command()
def env(directory: Directory = None) -> None:
    """Print the export lines that select a cluster.

    Use it as eval "$(iwm cluster env)".
    """
    typer.echo(_export(_cluster(directory)))


@cluster.command()
def crash(names: Daemons, directory: Directory = None) -> None:
    """SIGKILL daemons; crashing a node also kills its jobs."""
    _cluster(directory).crash(*names)
    typer.echo(f"killed {', '.join(names)}", err=True)


@cluster.command()
def start(names: Daemons, directory: Directory = None) -> None:
    """Restart crashed daemons."""
    _cluster(directory).start(*names)
    typer.echo(f"{', '.join(names)} up", err=True)


def _cluster(directory: Path | None) -> "DevCluster":
    from orchestrator.devcluster import DevCluster

    return DevCluster.at(directory or default_directory())


def default_directory() -> Path:
    """One directory per user; its path is short because sockets in it allow no long ones."""
    from orchestrator.devcluster.site import user

    return Path(tempfile.gettempdir()) / f"iwm-cluster-{user()}"


def _export(selected: "DevCluster") -> str:
    return f"export SLURM_CONF={shlex.quote(str(selected.site.slurm_conf))}"
