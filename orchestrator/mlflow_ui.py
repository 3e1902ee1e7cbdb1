"""How a person comes to the MLflow UI: a command, and links into it. Pure; nothing here loads MLflow.

The links are those that MLflow 3 reads: without `workflowType` it would open its view for language models.
"""

import shlex
from urllib.parse import quote, urlsplit, urlunsplit

from orchestrator.layout import Layout
from orchestrator.redact import has_password
from orchestrator.run_card import sweep_tag
from orchestrator.sweep import SweepRecord

PORT = 5000


def is_server(layout: Layout) -> bool:
    """Whether MLflow is a server of its own, not a database that we write."""
    return layout.tracking_uri.startswith(("http://", "https://"))


def ui_command(layout: Layout, *, port: int = PORT, program: str = "mlflow") -> str:
    """The shell command that opens the UI on this backend; of a server, its address. Tells no password."""
    if is_server(layout):
        return ui_url(layout)
    uri = '"$MLFLOW_TRACKING_URI"' if has_password(layout.tracking_uri) else shlex.quote(layout.tracking_uri)
    return f"{program} ui --backend-store-uri {uri} --port {port}"


def ui_url(layout: Layout, *, port: int = PORT) -> str:
    """Where the UI answers: the server's address without credentials, or this machine's."""
    if not is_server(layout):
        return f"http://127.0.0.1:{port}"
    parts = urlsplit(layout.tracking_uri)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def sweep_link(record: SweepRecord, *, base: str, experiment_id: str, order_by: str = "mrr") -> str:
    """The sweep's runs in the UI at `base`, best first."""
    filters = f"tags.`{sweep_tag(record.name)}` LIKE '%{record.id}%'"
    query = {
        "workflowType": "machine_learning",
        "searchFilter": filters,
        "orderByKey": f"metrics.`{order_by}`",
        "orderByAsc": "false",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
    }
    written = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items())
    return f"{base}/#/experiments/{experiment_id}/runs?{written}"
