"""The servers of `iwm serve`: addresses, passwords, command lines and environments.

MLflow's server gets one worker and no jobs: two processes and a fifth of the memory of its defaults. The database's
address goes through the environment, where `ps` does not show a password.

A password is MLflow's own (`mlflow[auth]`), which then guards our pages, too. It is asked for as soon as
MLFLOW_AUTH_ADMIN_PASSWORD or MLFLOW_AUTH_CONFIG_PATH is set. Without a configuration of the user's own, users are kept
beside the other databases, and everyone with a password may read every run.
"""

import contextlib
import errno
import importlib.util
import ipaddress
import secrets
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.errors import RequestError
from orchestrator.records.layout import Layout, sqlite_url
from orchestrator.tracking.links import IS_ASKED

CONFIG_PATH = "MLFLOW_AUTH_CONFIG_PATH"
ADMIN_PASSWORD = "MLFLOW_AUTH_ADMIN_PASSWORD"
CONFIG = """[mlflow]
default_permission = READ
database_uri = {users}
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""
SECRET_KEY, ALLOWED_HOSTS = "MLFLOW_FLASK_SERVER_SECRET_KEY", "MLFLOW_SERVER_ALLOWED_HOSTS"
GRACE_S = 2
"""Seconds that open requests have to finish when the server ends."""
DEFAULTS = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "10",
    "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "60",
}
"""The server's environment variables unless the user has set them."""
NOT_PASSED_ON = frozenset(
    {"MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_HOST", "MLFLOW_PORT", "MLFLOW_WORKERS"}
)
"""Variables that are for clients, or that the command line sets."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """A host of this machine and a port."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address for a browser; if the server listens at all addresses, by this machine's name."""
        host = socket.gethostname() if self.host in ("0.0.0.0", "::") else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def choose(host: str, *, port: int, wait_s: float = 0.0) -> Address:
    """An address to listen at; port 0 chooses a free port.

    Raises:
        RequestError: the host is not this machine's, or the port is still in use after `wait_s` seconds.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(place)
                return Address(host=host, port=probe.getsockname()[1])
        except OSError as error:
            in_use = error.errno == errno.EADDRINUSE
            if not in_use or time.monotonic() >= deadline:
                reason, setting = ("the port is in use", "port") if in_use else (error.strerror or error, "host")
                raise RequestError(
                    f"cannot listen on port {port} of {host}: {reason}; choose another --port, or --port 0 for a free "
                    "one",
                    setting=setting,
                    value=port if in_use else host,
                ) from error
        time.sleep(0.1)


def needs_password(host: str, *, port: int, pages_only: bool, environ: Mapping[str, str]) -> bool:
    """Return True if the server asks for a password.

    Args:
        host: The address that it will listen on.
        port: The port of the tunnel that an error suggests.
        pages_only: True if MLflow runs elsewhere, so that only our pages, which have no password, are served here.
        environ: The environment, whose variables request a password.

    Raises:
        RequestError: others could reach an address without a password; one was requested for the pages alone; or the
            packages that a password needs are not installed.
    """
    asks = bool(environ.get(ADMIN_PASSWORD) or environ.get(CONFIG_PATH))
    tunnel = f"ssh -N -L {port or 'PORT'}:127.0.0.1:{port or 'PORT'} {socket.gethostname()}"
    if asks and not importlib.util.find_spec("flask_wtf"):
        raise RequestError(
            "a password needs packages that are not installed: pip install 'iwm-orchestrator[auth]'",
            setting="MLFLOW_AUTH_ADMIN_PASSWORD",
        )
    if pages_only and (asks or not is_own(host)):
        raise RequestError(
            "MLFLOW_TRACKING_URI names a server, so `iwm serve` runs only its own pages, which support no password and "
            "are open to this machine alone; drop --host, MLFLOW_AUTH_ADMIN_PASSWORD and MLFLOW_AUTH_CONFIG_PATH, and "
            f"use a tunnel: {tunnel}",
            setting="MLFLOW_TRACKING_URI",
            value=host,
        )
    if not asks and not is_own(host):
        raise RequestError(
            f"--host {host} is reachable from other machines, so it needs a password: pip install "
            "'iwm-orchestrator[auth]' and export MLFLOW_AUTH_ADMIN_PASSWORD=... (user admin, 12 characters or more), "
            "or set MLFLOW_AUTH_CONFIG_PATH to MLflow's own configuration; or drop --host and use a tunnel: "
            f"{tunnel}",
            setting="host",
            value=host,
        )
    return asks


def is_own(host: str) -> bool:
    """Return True for an address that only this machine reaches."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def server_command(address: Address, *, python: str = sys.executable) -> list[str]:
    """The command line of MLflow's server."""
    return [
        *(python, "-m", "mlflow", "server", "--host", address.host, "--port", str(address.port), "--workers", "1"),
        *("--app-name", "iwm"),
        *("--uvicorn-opts", f"--no-access-log --timeout-graceful-shutdown {GRACE_S}"),
    ]


def pages_command(address: Address, *, python: str = sys.executable) -> list[str]:
    """The command line of our pages alone, beside another's MLflow server."""
    return [
        *(python, "-m", "uvicorn", "--factory", "dashboards.pages.server:alone", "--host", address.host),
        *("--port", str(address.port), "--no-access-log", "--timeout-graceful-shutdown", str(GRACE_S)),
    ]


def server_environment(layout: Layout, *, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of MLflow's server on this root's database and artifacts, or of our pages alone."""
    kept = {name: value for name, value in environ.items() if name not in NOT_PASSED_ON}
    ours = {
        "MLFLOW_BACKEND_STORE_URI": layout.tracking_uri,
        "MLFLOW_ARTIFACTS_DESTINATION": layout.artifacts.as_uri(),
        "IWM_TRACKING_URI": layout.tracking_uri,
        "IWM_ROOT": str(layout.root),
        "IWM_STATE": str(layout.state),
        "IWM_DATABASE_URL": layout.database_url,
        "PYTHONSAFEPATH": "1",  # a folder `mlflow` in the working folder is not the package
    }
    return {**DEFAULTS, **kept, **ours}


def password_environment(layout: Layout, *, environ: Mapping[str, str]) -> dict[str, str]:
    """What a server with a password needs beside `server_environment`; writes MLflow's configuration unless the user
    has named one."""
    file = layout.state / "basic_auth.ini"
    if not environ.get(CONFIG_PATH):
        users = sqlite_url(layout.state / "basic_auth.db").replace("%", "%%")  # configparser's own escape
        layout.state.mkdir(parents=True, exist_ok=True)
        file.write_text(CONFIG.format(users=users))
    return {
        CONFIG_PATH: environ.get(CONFIG_PATH) or str(file),
        IS_ASKED: "1",
        SECRET_KEY: environ.get(SECRET_KEY) or secrets.token_hex(32),
        ALLOWED_HOSTS: environ.get(ALLOWED_HOSTS) or _hosts(),
    }


def _hosts() -> str:
    """The names of this machine; MLflow answers requests to no other name."""
    name = socket.gethostname()
    names = ["localhost", "127.0.0.1", "[::1]", name, socket.getfqdn()]
    with contextlib.suppress(OSError):
        names += [str(place[0]) for *_, place in socket.getaddrinfo(name, None, family=socket.AF_INET)]
    return ",".join(dict.fromkeys(word for name in names for word in (name, f"{name}:*")))
