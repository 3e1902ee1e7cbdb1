"""A password before everything that is served: MLflow's own (`mlflow[auth]`), which then guards our pages, too.

It is asked for as soon as MLFLOW_AUTH_ADMIN_PASSWORD or MLFLOW_AUTH_CONFIG_PATH is set. Without a configuration of the
user's own, users are kept beside the other databases, and whoever is let in may read every run.
"""

import contextlib
import importlib.util
import secrets
import socket
from collections.abc import Mapping

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


def is_asked_for(environ: Mapping[str, str]) -> bool:
    """Whether whoever comes has to say one.

    Raises:
        RequestError: it is wanted, and a part that it needs is not installed.
    """
    if not (environ.get(ADMIN_PASSWORD) or environ.get(CONFIG_PATH)):
        return False
    if not importlib.util.find_spec("flask_wtf"):
        raise RequestError("a password needs MLflow's parts for it: pip install 'iwm-orchestrator[auth]'")
    return True


def password_environment(layout: Layout, *, environ: Mapping[str, str]) -> dict[str, str]:
    """What the server's process has to know; writes the configuration, where the user has named none."""
    path = environ.get(CONFIG_PATH) or str(layout.state / "basic_auth.ini")
    if not environ.get(CONFIG_PATH):
        users = sqlite_url(layout.state / "basic_auth.db").replace("%", "%%")  # configparser has its own use of it
        layout.state.mkdir(parents=True, exist_ok=True)
        (layout.state / "basic_auth.ini").write_text(CONFIG.format(users=users))
    ours = {CONFIG_PATH: path, IS_ASKED: "1", "MLFLOW_SERVER_ALLOWED_HOSTS": _hosts()}
    return {"MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32), **ours, **_kept(environ)}


def _kept(environ: Mapping[str, str]) -> dict[str, str]:
    """What the user has said of these, which goes first."""
    names = ("MLFLOW_FLASK_SERVER_SECRET_KEY", "MLFLOW_SERVER_ALLOWED_HOSTS")
    return {name: environ[name] for name in names if environ.get(name)}


def _hosts() -> str:
    """The names by which this machine may be called: MLflow answers to no other."""
    name = socket.gethostname()
    names = ["localhost", "127.0.0.1", "[::1]", name, socket.getfqdn()]
    with contextlib.suppress(OSError):
        names += [str(place[0]) for *_, place in socket.getaddrinfo(name, None, family=socket.AF_INET)]
    return ",".join(dict.fromkeys(word for name in names for word in (name, f"{name}:*")))
