"""A cluster's directory: made for one cluster, filled with its configuration, opened again by whoever comes later."""

import json
import os
import pwd
from dataclasses import asdict
from pathlib import Path

from orchestrator.devcluster import conf
from orchestrator.devcluster.site import Site
from orchestrator.devcluster.spec import ClusterSpec
from orchestrator.errors import RequestError

RECORD = "cluster.json"
FOLDERS = {"run": 0o755, "log": 0o755, "state": 0o755, "spool": 0o755, "db": 0o700}


def make(spec: ClusterSpec, *, site: Site) -> None:
    """Takes a new or empty directory for this cluster; RequestError where it is taken, or cannot be had.

    The record comes first, and exclusively: of two who come at once one is refused, and from then on `down` works.
    """
    here = site.directory
    try:
        here.mkdir(parents=True, exist_ok=True)
        _check_owner(here)
        if any(here.iterdir()):
            raise RequestError(f"{here} is not empty; {_way_out(here)}")
        here.chmod(0o755)
        with open(here / RECORD, "x") as file:
            json.dump({"spec": asdict(spec), "site": {**asdict(site), "directory": str(here)}}, file)
        for name, mode in FOLDERS.items():
            (here / name).mkdir()
            (here / name).chmod(mode)
    except FileExistsError:
        raise RequestError(f"{here} is taken; {_way_out(here)}") from None
    except OSError as error:
        raise RequestError(f"{here}: {error.strerror or error}; choose another --dir") from None


def _way_out(directory: Path) -> str:
    return "end what is there first: iwm cluster down" if (directory / RECORD).exists() else "choose another --dir"


def fill(spec: ClusterSpec, *, site: Site) -> None:
    """Writes every configuration file; SLURM finds the others beside slurm.conf."""
    for name, text, mode in (
        ("slurm.conf", conf.slurm_conf(spec, site=site), 0o644),
        ("slurmdbd.conf", conf.slurmdbd_conf(site), 0o600),
        ("gres.conf", conf.gres_conf(spec), 0o644),
        ("epilog.sh", conf.EPILOG, 0o755),
        ("plugstack.conf", "", 0o644),
        ("cgroup.conf", conf.CGROUP, 0o644),
        ("munge.key", os.urandom(64).hex(), 0o400),
    ):
        with open(os.open(site.directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
            file.write(text)


def read(directory: Path) -> tuple[ClusterSpec, Site]:
    """What `make` recorded; a RequestError where no cluster of ours lives there."""
    try:
        record = json.loads((directory / RECORD).read_text())
        _check_owner(directory)
        spec = ClusterSpec(**{**record["spec"], "settings": tuple(record["spec"]["settings"])})
        return spec, Site(**{**record["site"], "directory": directory})
    except OSError:
        raise RequestError(f"no cluster in {directory}; iwm cluster up starts one") from None
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{directory / RECORD} is not what iwm cluster up wrote: {error}") from None


def _check_owner(directory: Path) -> None:
    """Somebody else's slurm.conf could run anything in our name."""
    owner = directory.stat().st_uid
    if owner != os.getuid():
        raise RequestError(f"{directory} belongs to {_name(owner)}, not to you; choose another --dir")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
