"""Verbs of `iwm cluster`: a real throwaway SLURM on this machine."""

import shlex
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.application import app
from orchestrator.cli.options import Json, nameable

if TYPE_CHECKING:
    from rich.table import Table

cluster = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(
    cluster,
    name="cluster",
    help="Boot a real throwaway SLURM on this machine.\n\n"
    "munge, MariaDB, slurmdbd, slurmctld and nodes with made-up GPUs, in one directory, as any user; nothing outside "
    "the directory is touched. Partitions: gpu (preempted and requeued; the default), short (the same, one minute), "
    "cancel (preempted and not requeued), urgent (preempts all of them).",
)

Directory = Annotated[
    Path | None,
    typer.Option(
        "--dir", callback=nameable, help="The cluster's directory [$TMPDIR/iwm-cluster-USER]; one cluster each."
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
    grace: Annotated[int, typer.Option("--grace", help="Seconds a preempted job has to end, at least.")] = 5,
    kill_wait: Annotated[int, typer.Option("--kill-wait", help="Seconds between SIGTERM and SIGKILL.")] = 3,
    requeue_delay: Annotated[int, typer.Option("--requeue-delay", help="Seconds a requeued job waits.")] = 5,
    node_timeout: Annotated[int, typer.Option("--node-timeout", help="Seconds until a silent node is down.")] = 10,
    user_signal: Annotated[bool, typer.Option("--user-signal", help="Preempt with the signal of --signal.")] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A line of slurm.conf that replaces ours.")
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
    typer.echo(_export(booted.site.slurm_conf))


@cluster.command()
def down(
    directory: Directory = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the files: logs, and the state to start from.")] = False,
) -> None:
    """End a cluster and all its jobs, and delete its directory."""
    from orchestrator.devcluster import DevCluster

    ended = DevCluster.at(directory or default_directory())
    ended.down(keep=keep)
    typer.echo(f"{ended.directory} {'is down, its files stay' if keep else 'is gone'}", err=True)


@cluster.command()
def status(directory: Directory = None, json: Json = False) -> None:
    """Show daemons, nodes and jobs; exits with 1 if a daemon is down."""
    from orchestrator.devcluster import DevCluster
    from orchestrator.host import console

    seen = DevCluster.at(directory or default_directory()).status()
    if json:
        console.print_json(seen.to_dict())
    else:
        console.out().print(", ".join(f"{name} {pid or 'DOWN'}" for name, pid in seen.daemons.items()))
        for title, rows in (("nodes", seen.nodes), ("jobs", seen.jobs)):
            console.out().print(_table(title, [row.to_row() for row in rows]) if rows else f"no {title}")
    if seen.down:
        raise typer.Exit(1)


@cluster.command()
def env(directory: Directory = None) -> None:
    """Print the export lines that select a cluster.

    Use it as eval "$(iwm cluster env)".
    """
    from orchestrator.devcluster import DevCluster

    typer.echo(_export(DevCluster.at(directory or default_directory()).site.slurm_conf))


@cluster.command()
def crash(names: Daemons, directory: Directory = None) -> None:
    """Kill daemons without warning; a node takes its jobs with it."""
    from orchestrator.devcluster import DevCluster

    DevCluster.at(directory or default_directory()).crash(*names)
    typer.echo(f"killed {', '.join(names)}", err=True)


@cluster.command()
def start(names: Daemons, directory: Directory = None) -> None:
    """Start daemons again."""
    from orchestrator.devcluster import DevCluster

    DevCluster.at(directory or default_directory()).start(*names)
    typer.echo(f"{', '.join(names)} up", err=True)


def default_directory() -> Path:
    """One for each user; short, for the sake of the sockets in it."""
    from orchestrator.devcluster.site import user

    return Path(tempfile.gettempdir()) / f"iwm-cluster-{user()}"


def _export(slurm_conf: Path) -> str:
    return f"export SLURM_CONF={shlex.quote(str(slurm_conf))}"


def _table(title: str, rows: Sequence[dict[str, str]]) -> "Table":
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading in rows[0]:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row.values())
    return table
