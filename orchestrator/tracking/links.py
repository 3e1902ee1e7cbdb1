"""How a person comes to the MLflow UI and to our pages: a command, and links. Nothing here loads MLflow.

sweep_link     a filter, spelled out in the address; holds with every MLflow 3 (without `workflowType` it would open
               its view for language models)
view_link      a saved view of that filter, with the sweep's axes as columns: a tag of the experiment, as the UI of
               MLflow 3.17 writes it when somebody saves one
links          both of a sweep, and its page, as a running `iwm serve` says where it answers
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
"""Environment variable: tells the process that serves the UI to ask for a password."""
VIEW_VERSION = 1
"""Bumped when `view` changes: every sweep then gets a new one, and what a person made of the old one stays."""
COLUMNS = (
    *(f"metrics.`{name}`" for name in ("mrr", "mrr_floor", "linear_probe_top1", "loss")),
    *(f"tags.`{name}`" for name in ("state", "slurm_state", "pending_reason", "attempts", "gpu_hours")),
)
"""Beside a sweep's axes."""


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


def sweep_link(record: SweepRecord, *, base: str, experiment_id: str) -> str:
    """The sweep's runs in the UI at `base`, best first."""
    query = {"workflowType": "machine_learning", **_facets(record)}
    written = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items())
    return f"{base}/#/experiments/{experiment_id}/runs?{written}"


def view_link(sweep_id: str, *, base: str, experiment_id: str) -> str:
    """The same as a saved view, which is there once the sweep was sent to MLflow."""
    query = f"workflowType=machine_learning&viewStateShareKey={_view_key(sweep_id)}"
    return f"{base}/#/experiments/{experiment_id}/runs?{query}"


def run_link(run_id: str, *, base: str, experiment_id: str) -> str:
    """One run in the UI at `base`, among runs and not among language models."""
    return f"{base}/#/experiments/{experiment_id}/runs/{run_id}?workflowType=machine_learning"


def view_tag(sweep_id: str) -> str:
    """The tag of the experiment that holds a sweep's saved view."""
    return f"mlflow.sharedViewState.{_view_key(sweep_id)}"


def view(record: SweepRecord) -> str:
    """A sweep's saved view: its axes and what is measured as columns, named in the UI's list of views."""
    columns = [*(f"tags.`{safe_key(f'axis.{axis}')}`" for axis in record.axes), *COLUMNS]
    shown = {"selectedColumns": columns, "columnOrder": columns, "runsHiddenMode": "SHOW_ALL"}
    state = {**_facets(record), "orderByAsc": False, **shown}
    created_ms = round(record.t * 1000)
    return json.dumps({"name": record.id, "createdAt": created_ms, "updatedAt": created_ms, "state": json.dumps(state)})


def _view_key(sweep_id: str) -> str:
    return hashlib.sha256(f"{VIEW_VERSION} {sweep_id}".encode()).hexdigest()[:16]


def _facets(record: SweepRecord) -> dict[str, str]:
    """Which runs, and in which order, as both kinds of link say it."""
    return {
        "searchFilter": f"tags.`{sweep_tag(record.name)}` LIKE '%{record.id}%'",
        "orderByKey": "metrics.`mrr`",
        "orderByAsc": "false",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
    }


@dataclass(frozen=True, kw_only=True)
class Links:
    """Where a sweep is to be seen: its runs as a filter and as a saved view, and its page.

    `page` is empty where `iwm serve` does not run; the others then lead to where the UI would be. The view is there as
    soon as MLflow was told of the sweep.
    """

    runs: str
    view: str
    page: str


def links(layout: Layout, record: SweepRecord, *, experiment_id: str) -> Links:
    """The addresses of a sweep. Before anything was sent to MLflow its runs are at the UI's first page."""
    served, base = served_at(layout), ui_of(layout)
    return Links(
        runs=sweep_link(record, base=base, experiment_id=experiment_id) if experiment_id else base,
        view=view_link(record.id, base=base, experiment_id=experiment_id) if experiment_id else base,
        page=f"{served}/iwm/sweeps/{quote(record.id, safe='')}" if served else "",
    )


def ui_of(layout: Layout) -> str:
    """Where the MLflow UI is, or would be."""
    return str(_told(layout).get("url") or ui_url(layout))


def served_at(layout: Layout) -> str:
    """Where the pages of the root's `iwm serve` answer at this moment; empty where none runs."""
    return str(_told(layout).get("pages") or "")


def _told(layout: Layout) -> dict[str, Any]:
    """What a running `iwm serve` says of itself."""
    with contextlib.suppress(OSError, ValueError):
        if is_held(layout.serve_lock):
            return dict(json.loads(layout.serve_lock.read_text()))
    return {}
