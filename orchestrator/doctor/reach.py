"""Whether the database and MLflow can be reached. MLflow is asked over HTTP: loading it takes seconds."""

import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import ProxyHandler, build_opener, getproxies

from orchestrator.doctor.finding import Finding, Verdict
from orchestrator.doctor.folder import file_system, scratch
from orchestrator.errors import DatabaseError
from orchestrator.host.redact import redact, shown
from orchestrator.records.layout import Layout, sqlite_url
from orchestrator.store.database import Store
from orchestrator.tracking.links import is_server, ui_url

SUBJECT = "services"
TIMEOUT_S = 5.0
NETWORK = frozenset({"nfs", "nfs4", "lustre", "gpfs", "beegfs", "cifs", "smb3", "ceph", "fuse.ceph"})


def examine_reach(layout: Layout) -> list[Finding]:
    """The findings on both."""
    return [_database(layout), _tracking(layout)]


def _line(name: str, verdict: Verdict, value: str, means: str) -> Finding:
    return Finding(subject=SUBJECT, name=name, verdict=verdict, value=value, means=means)


def _database(layout: Layout) -> Finding:
    """Opens it as every verb does; an SQLite file that is not there yet is tried in a folder that is removed."""
    file, value = sqlite_path(layout.database_url), shown(layout.database_url)
    try:
        if file and not file.exists():
            with scratch(file.parent) as folder:
                if isinstance(folder, OSError):
                    raise DatabaseError(folder.strerror or str(folder))
                Store.open(sqlite_url(folder / "orchestrator.db")).close()
        else:
            Store.open(layout.database_url).close()
    except DatabaseError as error:
        means = "nothing but `plan` and `train` works without it; it can be made anew from the files at any time"
        return _line("database", Verdict.FAILED, str(error), means)
    if file and (kind := file_system(file)) in NETWORK:
        means = f"SQLite is not safe on {kind}: set IWM_STATE to a folder on a local disk"
        return _line("database", Verdict.WARNING, value, means)
    return _line("database", Verdict.OK, value, "tables and reports are read from here; files are the truth")


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite URL; None for any other."""
    scheme, _, file = url.partition(":///")
    return Path(unquote(file.partition("?")[0])) if scheme == "sqlite" else None


def _tracking(layout: Layout) -> Finding:
    """An unreachable one is a warning: nothing waits for it and nothing is lost."""
    value = shown(layout.tracking_uri)
    try:
        _knock(layout)
    except (OSError, ValueError) as error:
        reason = redact(str(getattr(error, "reason", error)), url=layout.tracking_uri)
        means = "trials run and nothing is lost: `iwm sync` sends everything when it is back"
        return _line("MLflow", Verdict.WARNING, f"{value}: {reason}", means)
    return _line("MLflow", Verdict.OK, value, "`iwm sync` and `iwm serve` send runs and metrics here")


def _knock(layout: Layout) -> None:
    """Raises an OSError or ValueError where nobody answers."""
    if is_server(layout):
        return _health(ui_url(layout), proxies=getproxies())
    if file := sqlite_path(layout.tracking_uri):
        with scratch(file.parent) as folder:
            if isinstance(folder, OSError):
                raise folder
        return None
    parts = urlsplit(layout.tracking_uri)
    if parts.hostname:
        port = parts.port or {"mysql": 3306}.get(parts.scheme.partition("+")[0], 5432)
        socket.create_connection((parts.hostname, port), timeout=TIMEOUT_S).close()
    return None


def _health(base: str, *, proxies: Mapping[str, str]) -> None:
    try:
        build_opener(ProxyHandler(dict(proxies))).open(f"{base}/health", timeout=TIMEOUT_S).close()
    except HTTPError as error:
        with error:
            if error.code not in (401, 403):  # it wants credentials, which MLflow's own client sends
                raise OSError(f"answers {error.code} at {base}/health; is it MLflow?") from None
