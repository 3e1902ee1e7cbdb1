"""Where MLflow's server listens: on this machine alone, unless it asks for a password."""

import contextlib
import errno
import ipaddress
import socket
import time
from dataclasses import dataclass

from orchestrator.errors import RequestError


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
