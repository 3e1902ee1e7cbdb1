"""The addresses of the pages. Every request ends in a page or a plain 4xx, and none changes anything.

    /iwm/                                    every sweep
    /iwm/sweeps/ID                           the grid          ?metric= &rows= &columns= &page=
    /iwm/sweeps/ID/answer                    the report
    /iwm/sweeps/ID/timeline                  attempts over time    ?page=
    /iwm/trials/ID                           one trial         ?sweep=

`sweeps`, `grid`, `answer`, `timeline` and `data` with `.csv` give a page's data, with `.tex` its table. Ids are looked
up in the store; none of them becomes a path.
"""

import datetime
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from dashboards.cells import Table
from dashboards.pages import exports
from dashboards.pages.heat import GLYPHS, SQUARES, Heat, heat, metrics
from dashboards.pages.lanes import lane, lanes, span
from dashboards.pages.render import FOLDER, digest, link, page
from dashboards.pages.requests import (
    Answer,
    asked,
    encoded,
    guarded,
    not_routed,
    page_number,
    paged,
    part,
    refused,
)
from dashboards.pages.source import Look, Source, trial_of
from dashboards.pages.trial import curves, neighbours
from dashboards.report.document import Document, to_latex
from dashboards.report.tables import to_csv
from orchestrator.errors import UnknownSweepError
from orchestrator.records.layout import Layout
from orchestrator.store.database import SINGLE
from orchestrator.tracking.links import is_server, run_link, sweep_link, ui_url
from orchestrator.trial.lifecycle import GOING_ON, State
from orchestrator.trial.sweep import SweepRecord, command

LANES = 200
"""Trials on one page of the timeline."""


class Pages:
    """The pages of one root."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def routes(self) -> list[Route]:
        """The routes for Starlette."""
        table: Mapping[str, Answer] = {
            "/iwm": self.sweeps,
            "/iwm/": self.sweeps,
            "/iwm/sweeps.{kind}": self.sweeps_data,
            "/iwm/sweeps/{sweep_id}/answer": self.answer,
            "/iwm/sweeps/{sweep_id}/answer.{kind}": self.answer_data,
            "/iwm/sweeps/{sweep_id}/timeline": self.timeline,
            "/iwm/sweeps/{sweep_id}/timeline.{kind}": self.timeline_data,
            "/iwm/sweeps/{sweep_id}/grid.{kind}": self.grid_data,
            "/iwm/sweeps/{sweep_id}": self.grid,
            "/iwm/trials/{trial_id}/pictures/{name}": self.picture,
            "/iwm/trials/{trial_id}/data.{kind}": self.trial_data,
            "/iwm/trials/{trial_id}": self.trial,
        }
        return [Route(path, guarded(answer), methods=["GET"]) for path, answer in table.items()]

    def sweeps(self, request: Request) -> Response:
        """Every sweep and its progress."""
        return _html("sweeps.html", overviews=self.source.overviews(), root=str(self.source.layout.root), State=State)

    def sweeps_data(self, request: Request) -> Response:
        """The number of trials in each state, by sweep."""
        found = self.source.overviews()
        return _data(request, csv=lambda: exports.sweeps_csv(found), tex=lambda: exports.sweeps(found))

    def grid(self, request: Request) -> Response:
        """A sweep's cells as a heat map."""
        look = self._look(request)
        shown = _grid(request, look.table, squares=SQUARES)
        chosen = {"metric": shown.metric, "rows": shown.rows.axis, "columns": shown.columns.axis}
        return self._view(
            "grid",
            look,
            metrics=metrics(look.table),
            heat=shown,
            glyphs=GLYPHS,
            trial_page=link("trials", ""),
            in_sweep="?" + urlencode({"sweep": look.record.id}),
            address=partial(link, "sweeps", look.record.id, **chosen),
        )

    def grid_data(self, request: Request) -> Response:
        """The rows of every trial, or the grid as a LaTeX table."""
        look = self._look(request)
        shown = _grid(request, look.table, squares=sys.maxsize)
        return _data(request, csv=lambda: to_csv(look.results), tex=lambda: exports.grid(look.record.name, shown))

    def answer(self, request: Request) -> Response:
        """The report."""
        look = self._look_of_sweep(request)
        return self._view("answer", look, content=digest(look.report))

    def answer_data(self, request: Request) -> Response:
        """The effects as rows, or the report as LaTeX."""
        look = self._look_of_sweep(request)
        return _data(request, csv=lambda: exports.effects_csv(look.table), tex=lambda: look.report)

    def timeline(self, request: Request) -> Response:
        """Attempts of each trial over time, `LANES` trials to a page."""
        look, t = self._look(request), time.time()
        part = paged(look.results.trials, number=page_number(request), size=LANES)
        shown = lanes(replace(look.results, trials=tuple(part.items)), now=t)
        return self._view(
            "timeline",
            look,
            lanes=shown,
            span=span(shown, submitted_t=look.record.t, now=t),
            now=t,
            part=part,
            address=partial(link, "sweeps", look.record.id, "timeline"),
            nodes=sorted({bar.attempt.host for lane in shown for bar in lane.bars}),
        )

    def timeline_data(self, request: Request) -> Response:
        """Every attempt as a row."""
        look = self._look(request)
        shown = lanes(look.results, now=time.time())
        name = look.record.name
        return _data(request, csv=lambda: exports.attempts_csv(shown), tex=lambda: exports.attempts(name, shown))

    def trial(self, request: Request) -> Response:
        """One trial: configuration, neighbours, curves, attempts, pictures, logs."""
        shipment = self.source.shipment(part(request, "trial_id"))
        records = [record for record, _ in shipment.sweeps]
        record = _chosen(records, asked(request, "sweep"))
        look = self.source.look(record.id) if record else None
        metric = look.table.headline or "" if look else ""
        trial = trial_of(shipment)
        return _html(
            "trial.html",
            trial=trial,
            status=shipment.status,
            others=[other for other in records if other is not record],
            record=record,
            metric=metric,
            directions=neighbours(look.results, trial, metric=metric) if look else (),
            lane=lane(trial, submitted_t=0.0, now=time.time()),
            curves=curves(self.source.store.points(trial.id), shipment.status),
            seen=self.source.slurm_seen(trial.id),
            goes_on=trial.state in GOING_ON,
            command=command(record, trial.overrides) if record else "",
            pictures=self.source.pictures(trial.id),
            logs=self.source.log_tails(trial.id),
            mlflow=self._mlflow(run_id=shipment.run_id),
        )

    def trial_data(self, request: Request) -> Response:
        """Every point of its history as a row, or its attempts as a LaTeX table."""
        shipment = self.source.shipment(part(request, "trial_id"))
        shown = lane(trial_of(shipment), submitted_t=0.0, now=time.time())
        return _data(
            request,
            csv=lambda: exports.points_csv(self.source.store.points(shipment.id)),
            tex=lambda: exports.attempts(shipment.id, [shown]),
        )

    def picture(self, request: Request) -> Response:
        """A PNG of a trial."""
        shipment = self.source.shipment(part(request, "trial_id"))
        found = self.source.picture(shipment.id, part(request, "name"))
        return Response(found, media_type="image/png") if found is not None else refused(404, "no such picture")

    def _view(self, tab: str, look: Look, **values: Any) -> Response:
        """One of the views of a sweep."""
        return _html(f"{tab}.html", look=look, tab=tab, mlflow=self._mlflow(look.record), **values)

    def _look(self, request: Request) -> Look:
        return self.source.look(part(request, "sweep_id"))

    def _look_of_sweep(self, request: Request) -> Look:
        """The same, for pages that trials without a sweep do not have."""
        look = self._look(request)
        if look.record.id == SINGLE.id:
            raise UnknownSweepError("trials without a sweep have no report")
        return look

    def _mlflow(self, record: SweepRecord | None = None, *, run_id: str = "") -> str:
        """The address of a sweep's runs or of a run in MLflow; of all runs before the first one is sent.

        Our pages link to the MLflow UI beside them, unless MLflow's server runs elsewhere.
        """
        ui = ui_url(self.source.layout) if is_server(self.source.layout) else ""
        experiment = self.source.store.experiment_id()
        if experiment and record and record.t:
            return sweep_link(record, base=ui, experiment_id=experiment)
        return run_link(run_id, base=ui, experiment_id=experiment) if experiment and run_id else f"{ui}/"


def _grid(request: Request, table: Table, *, squares: int) -> Heat:
    chosen = {key: asked(request, key) for key in ("metric", "rows", "columns")}
    return heat(table, **chosen, page=page_number(request), squares=squares)


def _chosen(records: Sequence[SweepRecord], sweep_id: str) -> SweepRecord | None:
    """The sweep that a trial is shown in: the newest where none is requested; None for a trial without one.

    Raises:
        UnknownSweepError: the trial is not in that sweep.
    """
    if sweep_id in ("", SINGLE.id):
        return records[-1] if records else None
    for record in records:
        if record.id == sweep_id:
            return record
    raise UnknownSweepError(f"the trial is not in sweep '{sweep_id}'")


def _data(request: Request, *, csv: Callable[[], str], tex: Callable[[], Document]) -> Response:
    match part(request, "kind"):
        case "csv":
            return PlainTextResponse(encoded(csv()), media_type="text/csv")
        case "tex":
            return PlainTextResponse(encoded(to_latex(tex())), media_type="application/x-tex")
    return refused(404, "choose .csv or .tex")


def _html(template: str, **values: Any) -> Response:
    t = datetime.datetime.now(tz=datetime.UTC)
    return HTMLResponse(encoded(page(template, {**values, "at": f"{t:%Y-%m-%d %H:%M:%S} UTC"})))


def site(layout: Layout) -> Starlette:
    """The application under /iwm."""
    static = Mount("/iwm/static", StaticFiles(directory=FOLDER / "static"))
    return Starlette(
        routes=[*Pages(Source(layout)).routes(), static],
        middleware=[Middleware(GZipMiddleware, minimum_size=2_000)],
        exception_handlers={HTTPException: not_routed},
    )
