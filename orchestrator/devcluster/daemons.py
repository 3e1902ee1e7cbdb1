"""The daemons of a cluster: the programs they need, their command lines, and where each answers."""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.devcluster.site import ClusterSpec, Site
from orchestrator.errors import RequestError

PACKAGES = {
    "munged": "munge",
    "mariadbd": "mariadb-server",
    "mariadb": "mariadb-client",
    "slurmdbd": "slurmdbd",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "sbatch": "slurm-client",
    "srun": "slurm-client",
    "sacct": "slurm-client",
    "squeue": "slurm-client",
    "scancel": "slurm-client",
    "scontrol": "slurm-client",
    "sinfo": "slurm-client",
}
_TABLES = tuple(Path(f"/usr/share/{name}/{name}_system_tables.sql") for name in ("mysql", "mariadb"))
"""The definition of MariaDB's own tables: up to version 10, and from version 11 on."""
SYSTEM_TABLES = next((path for path in _TABLES if path.exists()), _TABLES[0])
SYSTEM_FOLDERS = ("/usr/sbin", "/sbin")
"""Folders of daemons that an ordinary user's PATH leaves out."""


def search_path(path: str | None = None) -> str:
    """A PATH (default: this process's) with the folders of daemons."""
    given = os.environ.get("PATH", os.defpath) if path is None else path
    lacking = [folder for folder in SYSTEM_FOLDERS if folder not in given.split(os.pathsep)]
    return os.pathsep.join([given, *lacking] if given else lacking)


def check_installed(*, path: str, tables: Path = SYSTEM_TABLES) -> None:
    """Check that every program is on this PATH, and MariaDB's tables are there.

    Raises:
        RequestError: names what is missing (`value`) and the command that installs it.
    """
    missing = {name: package for name, package in PACKAGES.items() if not shutil.which(name, path=path)}
    if not tables.exists():
        missing[str(tables)] = PACKAGES["mariadbd"]
    if missing:
        named = ", ".join(f"{name} ({package})" for name, package in missing.items())
        packages = " ".join(sorted(set(missing.values())))
        message = f"a SLURM cluster needs programs that are not installed: {named}; on Debian: apt-get install -y"
        raise RequestError(f"{message} {packages}", value=missing)


@dataclass(frozen=True)
class Daemon:
    """The command that runs a daemon in the foreground, and the socket or port at which it answers.

    A node has no address of its own: it answers through slurmctld.
    """

    command: tuple[str, ...]
    door: Path | int | None = None


def daemons(spec: ClusterSpec, *, site: Site) -> dict[str, Daemon]:
    """Every daemon by name, in the order in which they start: each needs those before it, the nodes come last.

    MariaDB writes each commit without a sync (2): with 0, a kill lost the cluster's registration in 2 of 4 trials.
    """
    here = site.directory
    munged = (
        *("munged", "-F", "--force", f"--key-file={here}/munge.key", f"--socket={site.munge_socket}"),
        *(f"--pid-file={here}/run/munged.pid", f"--seed-file={here}/run/munge.seed", "--num-threads=4"),
    )
    mariadbd = (
        *("mariadbd", "--no-defaults", f"--user={site.user}", f"--datadir={here}/db"),
        *(f"--socket={site.database_socket}", f"--pid-file={here}/run/mariadbd.pid"),
        *("--skip-networking", "--skip-grant-tables", "--skip-log-bin", "--innodb-log-file-size=16M"),
        *("--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=2"),
        *("--innodb-lock-wait-timeout=900", "--max-allowed-packet=64M"),
    )
    return {
        "munged": Daemon(munged, site.munge_socket),
        "mariadbd": Daemon(mariadbd, site.database_socket),
        "slurmdbd": Daemon(("slurmdbd", "-D"), site.accounting_port),
        "slurmctld": Daemon(("slurmctld", "-D"), site.controller_port),
        **{name: Daemon(("slurmd", "-D", "-N", name)) for name in spec.node_names},
    }


def chosen(known: Iterable[str], *, names: Iterable[str]) -> tuple[str, ...]:
    """These daemons in the order in which they start.

    Raises:
        RequestError: there is no daemon of that name.
    """
    wanted, known = set(names), tuple(known)
    if unknown := sorted(wanted.difference(known)):
        raise RequestError.unknown("daemon", unknown[0], choices=known)
    return tuple(name for name in known if name in wanted)
