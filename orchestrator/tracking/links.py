"""Where a sweep is to be seen in a browser: its runs in the MLflow UI, and its page beside it."""

import contextlib
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from orchestrator.host.locks import is_held
from orchestrator.records.layout import Layout
from orchestrator.tracking.mlflow_ui import sweep_link, ui_url, view_link
from orchestrator.trial.sweep import SweepRecord


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
