"""How MLflow's server is called. Pure.

One worker and no jobs: two processes and a fifth of the memory of MLflow's defaults. The database goes through the
environment, where `ps` does not show a password.
"""

import sys
from collections.abc import Mapping

from orchestrator.records.layout import Layout
from orchestrator.serving.address import Address

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
