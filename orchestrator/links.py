"""Where a sweep is to be seen in a browser: its runs in the MLflow UI, and its page beside it."""

import contextlib
import json
from dataclasses import dataclass
from urllib.parse import quote

from orchestrator.layout import Layout
from orchestrator.locks import is_held
from orchestrator.mlflow_ui import sweep_link, ui_url, view_link
from orchestrator.sweep import SweepRecord


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
    served = served_at(layout)
    base = served or ui_url(layout)
    return Links(
        runs=sweep_link(record, base=base, experiment_id=experiment_id) if experiment_id else base,
        view=view_link(record.id, base=base, experiment_id=experiment_id) if experiment_id else base,
        page=f"{served}/iwm/sweeps/{quote(record.id, safe='')}" if served else "",
    )


def served_at(layout: Layout) -> str:
    """Where the root's `iwm serve` answers at this moment; empty where none runs, or it uses a server of others."""
    with contextlib.suppress(OSError, ValueError):
        if is_held(layout.serve_lock):
            told = json.loads(layout.serve_lock.read_text())
            return str(told["url"]) if told.get("pages") else ""
    return ""
