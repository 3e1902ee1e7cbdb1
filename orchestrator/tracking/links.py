"""Commands and links that open the MLflow UI and our pages. Does not load MLflow.

sweep_link     a filter in the address; works with every MLflow 3 (`workflowType` avoids its view for language models)
view_link      a saved view of that filter, with the sweep's axes as columns: a tag of the experiment, in the format
               that the UI of MLflow 3.17 writes
links          both links of a sweep, and its page if `iwm serve` is running
"""

import contextlib
import hashlib
import json
import shlex
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from orchestrator.host.locks import is_held
from orchestrator.host.redact import has_password
from orchestrator.records.layout import Layout
from orchestrator.tracking.run_card import safe_key, sweep_tag
from orchestrator.trial.sweep import SweepRecord

PORT = 5000
IS_ASKED = "IWM_ASKS_FOR_PASSWORD"
"""Environment variable: makes the process that serves the UI ask for a password."""
VIEW_VERSION = 1
"""Raised when `view` changes: every sweep then gets a new view, and old ones, which users may have edited, stay."""
COLUMNS = (
    *(f"metrics.`{name}`" for name in ("mrr", "mrr_floor", "linear_probe_top1", "loss")),
    *(f"tags.`{name}`" for name in ("state", "slurm_state", "pending_reason", "attempts", "gpu_hours")),
)
"""Columns after a sweep's axes."""


def is_server(layout: Layout) -> bool:
    """Return True if MLflow is a separate server, not a database that we write."""
    return layout.tracking_uri.startswith(("http://", "https://"))


def ui_command(layout: Layout, *, port: int = PORT, program: str = "mlflow") -> str:
    """The shell command that opens the UI on this backend; for a server, its address. Contains no password."""
    if is_server(layout):
        return ui_url(layout)
    uri = '"$MLFLOW_TRACKING_URI"' if has_password(layout.tracking_uri) else shlex.quote(layout.tracking_uri)
    return f"{program} ui --backend-store-uri {uri} --port {port}"


def ui_url(layout: Layout, *, port: int = PORT) -> str:
    """The UI's address: the server's without credentials, or this machine's."""
    if not is_server(layout):
        return f"http://127.0.0.1:{port}"
    parts = urlsplit(layout.tracking_uri)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def sweep_link(record: SweepRecord, *, base: str, experiment_id: str) -> str:
    """The sweep's runs in the UI at `base`, best first."""
    query = {"workflowType": "machine_learning", **_facets(record)}
    written = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items())
    return f"{base}/#/experiments/{experiment_id}/runs?{written}"


def view_link(sweep_id: str, *, base: str, experiment_id: str) -> str:
    """The same as a saved view, which exists once the sweep was sent to MLflow."""
    query = f"workflowType=machine_learning&viewStateShareKey={_view_key(sweep_id)}"
    return f"{base}/#/experiments/{experiment_id}/runs?{query}"


def run_link(run_id: str, *, base: str, experiment_id: str) -> str:
    """One run in the UI at `base`, in the view for training runs."""
    return f"{base}/#/experiments/{experiment_id}/runs/{run_id}?workflowType=machine_learning"


def view_tag(sweep_id: str) -> str:
    """The tag of the experiment that holds a sweep's saved view."""
    return f"mlflow.sharedViewState.{_view_key(sweep_id)}"


def view(record: SweepRecord) -> str:
    """A sweep's saved view, with its axes and metrics as columns and its id as name."""
    columns = [*(f"tags.`{safe_key(f'axis.{axis}')}`" for axis in record.axes), *COLUMNS]
    shown = {"selectedColumns": columns, "columnOrder": columns, "runsHiddenMode": "SHOW_ALL"}
    state = {**_facets(record), "orderByAsc": False, **shown}
    created_ms = round(record.t * 1000)
    return json.dumps({"name": record.id, "createdAt": created_ms, "updatedAt": created_ms, "state": json.dumps(state)})


def _view_key(sweep_id: str) -> str:
    return hashlib.sha256(f"{VIEW_VERSION} {sweep_id}".encode()).hexdigest()[:16]


def _facets(record: SweepRecord) -> dict[str, str]:
    """Filter and order of the runs, for both kinds of link."""
    return {
        "searchFilter": f"tags.`{sweep_tag(record.name)}` LIKE '%{record.id}%'",
        "orderByKey": "metrics.`mrr`",
        "orderByAsc": "false",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
    }


@dataclass(frozen=True, kw_only=True)
class Links:
    """Addresses of a sweep: its runs as a filter and as a saved view, and its page.

    Without a running `iwm serve`, `page` is empty and the others lead to where the UI would be.
    """

    runs: str
    view: str
    page: str


def links(layout: Layout, record: SweepRecord, *, experiment_id: str) -> Links:
    """The addresses of a sweep; the UI's first page before anything was sent to MLflow (`experiment_id` is empty)."""
    served, base = served_at(layout), ui_of(layout)
    return Links(
        runs=sweep_link(record, base=base, experiment_id=experiment_id) if experiment_id else base,
        view=view_link(record.id, base=base, experiment_id=experiment_id) if experiment_id else base,
        page=f"{served}/iwm/sweeps/{quote(record.id, safe='')}" if served else "",
    )


def ui_of(layout: Layout) -> str:
    """The address of the MLflow UI, running or not."""
    return str(_running(layout).get("url") or ui_url(layout))


def served_at(layout: Layout) -> str:
    """The address of our pages; empty if the root's `iwm serve` is not running."""
    return str(_running(layout).get("pages") or "")


def _running(layout: Layout) -> dict[str, Any]:
    """The addresses of a running `iwm serve`; empty if none is running."""
    with contextlib.suppress(OSError, ValueError):
        if is_held(layout.serve_lock):
            return dict(json.loads(layout.serve_lock.read_text()))
    return {}
