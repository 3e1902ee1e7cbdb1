"""Which programs a cluster needs, and the Debian package that has each."""

import os
import shutil
from pathlib import Path

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
"""Where MariaDB keeps its own tables: up to version 10 and from version 11 on."""
SYSTEM_TABLES = next((path for path in _TABLES if path.exists()), _TABLES[0])
SYSTEM_FOLDERS = ("/usr/sbin", "/sbin")
"""Where daemons lie; an ordinary user's PATH leaves them out."""


def search_path(path: str | None = None) -> str:
    """A PATH that finds the daemons, too."""
    given = os.environ.get("PATH", os.defpath) if path is None else path
    missing = [folder for folder in SYSTEM_FOLDERS if folder not in given.split(os.pathsep)]
    return os.pathsep.join([given, *missing] if given else missing)


def missing(*, path: str, tables: Path = SYSTEM_TABLES) -> dict[str, str]:
    """What is not installed -> the package that has it."""
    absent = {name: package for name, package in PACKAGES.items() if not shutil.which(name, path=path)}
    return absent if tables.exists() else {**absent, str(tables): "mariadb-server"}


def complaint(absent: dict[str, str]) -> str:
    """One line on what is missing, with the command that installs it."""
    named = ", ".join(f"{name} ({package})" for name, package in absent.items())
    packages = " ".join(sorted(set(absent.values())))
    return f"a SLURM cluster needs what is not installed: {named}; on Debian: apt-get install -y {packages}"


def require(*, path: str, tables: Path = SYSTEM_TABLES) -> None:
    """Raises a RequestError where something is missing."""
    if absent := missing(path=path, tables=tables):
        raise RequestError(complaint(absent))
