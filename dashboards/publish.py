"""A sweep's report as files, and as artifacts in MLflow."""

from dashboards.figures import render_figure
from dashboards.learning import Points, render_learning
from dashboards.operations import render_operations
from dashboards.report import render
from orchestrator.host.progress import track
from orchestrator.records.layout import Layout
from orchestrator.store.database import Store
from orchestrator.tracking import gather
from orchestrator.trial.lifecycle import State
from orchestrator.trial.results import SweepResults


def render_report(results: SweepResults, *, kind: str) -> str:
    """The report in one of `dashboards.report.FORMATS`; the HTML page holds the figure.

    Raises:
        RequestError: another format.
    """
    return render(results, format=kind, figure=render_figure(results) if kind == "html" else None)


def report_files(results: SweepResults, points: Points) -> dict[str, bytes]:
    """The report in every format for people, its data, and the pictures that there is something for.

    `points` gives a trial's points by its id.
    """
    figure = render_figure(results)
    texts = {f"report.{kind}": render(results, format=kind, figure=figure).encode() for kind in ("md", "html", "csv")}
    curves, operations = render_learning(results, points), render_operations(results)
    pictures = {"figure.png": figure, "learning.png": curves, "operations.png": operations}
    return texts | {name: picture for name, picture in pictures.items() if picture}


def attach_reports(layout: Layout, store: Store) -> None:
    """Sends the report of every sweep that has a finished trial.

    Raises:
        TrackingError: MLflow is out of reach.
    """
    for record in track(store.sweep_records(), "writing reports"):
        results = store.results(record.id)
        if any(trial.status.state is State.FINISHED for trial in results.trials):
            gather.attach_report(layout, store, record.id, report_files(results, store.points))
