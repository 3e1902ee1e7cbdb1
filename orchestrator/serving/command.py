"""Where the servers of `iwm serve` listen, and how they are called. Pure.

One worker and no jobs: two processes and a fifth of the memory of MLflow's defaults. The database goes through the
environment, where `ps` does not show a password.
"""

import contextlib
import errno
import ipaddress
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.errors import RequestError
from orchestrator.records.layout import Layout


@dataclass(frozen=True, kw_only=True)
class Address:
    """A host of this machine and a port."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """What a browser is told; a name of this machine, where it listens at all of its addresses."""
        if self.host in ("0.0.0.0", "::"):
            return f"http://{socket.gethostname()}:{self.port}"
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


def choose(host: str, *, port: int, wait_s: float = 0.0, has_password: bool = False) -> Address:
    """An address to listen at; port 0 stands for any that is free.

    Raises:
        RequestError: others could reach it, or the port is still taken after `wait_s` seconds.
    """
    check_host(host, port=port, has_password=has_password)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return Address(host=host, port=_bound(host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
                raise RequestError(_refusal(host, port, error)) from error
        time.sleep(0.1)


def check_host(host: str, *, port: int, has_password: bool) -> None:
    """Whatever is not this machine's own address is refused without a password.

    Raises:
        RequestError: others could reach it.
    """
    if has_password or is_own(host):
        return
    raise RequestError(
        f"--host {host} lets in everybody who reaches this machine, so it needs a password (user admin, 12 characters "
        "or more): pip install 'iwm-orchestrator[auth]' and export MLFLOW_AUTH_ADMIN_PASSWORD=..., or name MLflow's "
        "own configuration in MLFLOW_AUTH_CONFIG_PATH; or leave --host away, and come through a tunnel: "
        f"{_tunnel(port)}"
    )


def check_alone(host: str, *, port: int, wants_password: bool) -> None:
    """Pages beside another's MLflow server have no password, so they are for this machine alone.

    Raises:
        RequestError: others could reach them, or a password is wanted.
    """
    if wants_password or not is_own(host):
        raise RequestError(
            "MLFLOW_TRACKING_URI names a server, and pages beside another's server have no password: they are for this "
            "machine alone; leave --host, MLFLOW_AUTH_ADMIN_PASSWORD and MLFLOW_AUTH_CONFIG_PATH away, and come "
            f"through a tunnel: {_tunnel(port)}"
        )


def _tunnel(port: int) -> str:
    return f"ssh -N -L {port or 'PORT'}:127.0.0.1:{port or 'PORT'} {socket.gethostname()}"


def is_own(host: str) -> bool:
    """Whether only this machine reaches that address."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _bound(host: str, port: int) -> int:
    """The port, bound for a moment as the server will bind it."""
    family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(place)
        return probe.getsockname()[1]


def _refusal(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken; choose another with --port, or --port 0 for a free one"
    return f"cannot listen on port {port} of {host}: {error.strerror or error}; --port 0 takes a free one"


GRACE_S = 2
"""How long requests under way may take when the server is to end."""

SWITCHES = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "10",
    "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "60",
}
"""Set for the server, where the user has not set them."""

NOT_ITS_OWN = frozenset({"MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_HOST", "MLFLOW_PORT", "MLFLOW_WORKERS"})
"""What is meant for clients, or said on the command line."""


def server_command(address: Address, *, python: str = sys.executable) -> list[str]:
    """The command line of MLflow's server."""
    return [
        *(python, "-m", "mlflow", "server", "--host", address.host, "--port", str(address.port), "--workers", "1"),
        *("--app-name", "iwm"),
        *("--uvicorn-opts", f"--no-access-log --timeout-graceful-shutdown {GRACE_S}"),
    ]


def pages_command(address: Address, *, python: str = sys.executable) -> list[str]:
    """The command line of our pages alone, where MLflow's server is another's."""
    return [
        *(python, "-m", "uvicorn", "--factory", "dashboards.pages.server:alone", "--host", address.host),
        *("--port", str(address.port), "--no-access-log", "--timeout-graceful-shutdown", str(GRACE_S)),
    ]


def server_environment(layout: Layout, *, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of MLflow's server on this root's database and artifacts, or of our pages alone."""
    kept = {name: value for name, value in environ.items() if name not in NOT_ITS_OWN}
    ours = {
        "MLFLOW_BACKEND_STORE_URI": layout.tracking_uri,
        "MLFLOW_ARTIFACTS_DESTINATION": layout.artifacts.as_uri(),
        "IWM_TRACKING_URI": layout.tracking_uri,
        "IWM_ROOT": str(layout.root),
        "IWM_STATE": str(layout.state),
        "IWM_DATABASE_URL": layout.database_url,
        "PYTHONSAFEPATH": "1",  # a folder `mlflow` where we were started is not MLflow
    }
    return {**SWITCHES, **kept, **ours}
