"""The daemons of a cluster: names in the order they start, command lines, and where each one answers. Pure."""

from collections.abc import Iterable
from pathlib import Path

from orchestrator.devcluster.site import Site
from orchestrator.devcluster.spec import ClusterSpec
from orchestrator.errors import RequestError

SERVICES = ("munged", "mariadbd", "slurmdbd", "slurmctld")
"""Each needs the ones before it; the nodes come last."""


def daemon_names(spec: ClusterSpec) -> tuple[str, ...]:
    """Every daemon, in the order in which they start."""
    return (*SERVICES, *spec.node_names)


def chosen(spec: ClusterSpec, *, names: Iterable[str]) -> tuple[str, ...]:
    """These daemons in the order in which they start; a RequestError names the ones there are."""
    wanted, known = set(names), daemon_names(spec)
    if unknown := sorted(wanted - set(known)):
        raise RequestError.unknown("daemon", unknown[0], choices=known)
    return tuple(name for name in known if name in wanted)


def command(name: str, *, site: Site) -> list[str]:
    """The command line that runs a daemon in the foreground."""
    match name:
        case "munged":
            return _munged(site)
        case "mariadbd":
            return _mariadbd(site)
        case "slurmdbd" | "slurmctld":
            return [name, "-D"]
    return ["slurmd", "-D", "-N", name]


def _munged(site: Site) -> list[str]:
    here = site.directory
    return [
        *("munged", "-F", "--force", f"--key-file={here}/munge.key", f"--socket={site.munge_socket}"),
        *(f"--pid-file={here}/run/munged.pid", f"--seed-file={here}/run/munge.seed", "--num-threads=4"),
    ]


def _mariadbd(site: Site) -> list[str]:
    """Each commit is written, not synced (2): with 0, a kill took the cluster's registration with it, 2 times in 4."""
    here = site.directory
    return [
        *("mariadbd", "--no-defaults", f"--user={site.user}", f"--datadir={here}/db"),
        *(f"--socket={site.database_socket}", f"--pid-file={here}/run/mariadbd.pid"),
        *("--skip-networking", "--skip-grant-tables", "--skip-log-bin", "--innodb-log-file-size=16M"),
        *("--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=2"),
        *("--innodb-lock-wait-timeout=900", "--max-allowed-packet=64M"),
    ]


def system_tables(tables: Path, *, site: Site) -> list[str]:
    """Makes MariaDB's own tables in place of mariadb-install-db (3 s): slurmdbd's stored procedure needs mysql.proc.

    Its database is made, too: slurmdbd 24.11 dies at the first start where it has to make it ("Number of columns").
    """
    return _sql(f"create database slurm; create database mysql; use mysql; source {tables};", site=site)


def checkpoint(site: Site) -> list[str]:
    """Writes InnoDB's first page out: killed before that has happened, MariaDB never starts again on its files."""
    return _sql("set global innodb_log_checkpoint_now=1", site=site)


def _sql(statements: str, *, site: Site) -> list[str]:
    return ["mariadb", "--no-defaults", f"--socket={site.database_socket}", "-e", statements]


def door(name: str, *, site: Site) -> Path | int | None:
    """The socket or port at which a daemon answers when it is ready; a node answers through the controller."""
    doors = {
        "munged": site.munge_socket,
        "mariadbd": site.database_socket,
        "slurmdbd": site.accounting_port,
        "slurmctld": site.controller_port,
    }
    return doors.get(name)
