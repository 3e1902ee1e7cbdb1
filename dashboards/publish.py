"""A sweep's report as files, and as artifacts in MLflow."""

from dashboards.figures.figure import render_figure
from dashboards.figures.learning import Points, render_learning
from dashboards.figures.operations import render_operations
from dashboards.report.content import compose
from dashboards.report.document import to_html, to_markdown
from dashboards.report.tables import to_csv
from orchestrator.host.progress import track
from orchestrator.records.layout import Layout
from orchestrator.store.database import Store
from orchestrator.tracking import gather
from orchestrator.trial.lifecycle import State
from orchestrator.trial.results import SweepResults


def report_files(results: SweepResults, points: Points) -> dict[str, bytes]:
    """The report as Markdown, HTML and CSV, and the pictures that have data.

    `points` gives a trial's points by its id.
    """
    figure, document = render_figure(results), compose(results)
    files = {
        "report.md": to_markdown(document).encode(),
        "report.html": to_html(document, figure=figure).encode(),
        "report.csv": to_csv(results).encode(),
        "figure.png": figure,
        "learning.png": render_learning(results, points),
        "operations.png": render_operations(results),
    }
    return {name: content for name, content in files.items() if content}


def attach_reports(layout: Layout, store: Store) -> None:
    """Send the report of every sweep that has a finished trial.

    Raises:
        TrackingError: MLflow cannot be reached.
    """
    for record in track(store.sweep_records(), "writing reports"):
        results = store.results(record.id)
        if any(trial.status.state is State.FINISHED for trial in results.trials):
            gather.attach_report(layout, store, record.id, report_files(results, store.points))
