"""The demo's answer: everything gathered, the table, the sentences, and where everything is."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from dashboards.findings import find
from dashboards.publish import attach_reports, report_files
from dashboards.report.content import SECTIONS
from dashboards.wording import metric_name
from orchestrator import service
from orchestrator.errors import TrackingError
from orchestrator.host import console
from orchestrator.records.layout import Layout
from orchestrator.tracking import gather
from orchestrator.trial.results import SweepResults
from orchestrator.trial.sweep import Sweep


def gathered(layout: Layout, sweep: Sweep, *, say: Console) -> SweepResults:
    """Everything in the store and in MLflow, the report beside the sweep."""
    with service.observed(layout) as store:
        try:
            say.print(gather.sync(layout, store).sentence())
            attach_reports(layout, store)
        except TrackingError as warning:
            say.print(f"warning: {warning}; nothing is lost, run `iwm sync` when it is back")
        results = store.results(sweep.id)
        files = report_files(results, store.points)
    for name, content in files.items():
        (report_folder(layout, sweep.id) / name).write_bytes(content)
    return results


def report_folder(layout: Layout, sweep_id: str) -> Path:
    """Where the demo leaves its report."""
    return layout.sweep_file(sweep_id).parent


def print_answer(results: SweepResults) -> None:
    """The table and the sentences."""
    out = console.out()
    out.print(answer_table(results))
    findings = find(results)
    for kind, title in SECTIONS.items():
        sentences = [finding.text for finding in findings if finding.kind is kind]
        if sentences:
            out.print("", f"{title}:", *[f"  - {sentence}" for sentence in sentences], sep="\n", soft_wrap=True)


SHOWN = ("conditioning", "photometric.strength", "predictor.depth")
SHOWN_METRICS = (
    "mrr", "mrr_floor", "mrr_patchwise", "linear_probe_top1", "random_probe_top1",
    "linear_probe_tokens_top1", "random_probe_tokens_top1",
)  # fmt: skip


def answer_table(results: SweepResults) -> Table:
    """The report's main table, as far as a terminal of 100 columns goes; each score beside its reference."""
    table = Table(
        title="Final metrics; each score beside its reference.", title_justify="left", box=None, pad_edge=False
    )
    for heading in (*map(_last_word, SHOWN), *map(metric_name, SHOWN_METRICS), "attempts"):
        table.add_column(heading, justify="left" if heading == SHOWN[0] else "right", max_width=12)
    for trial in results.trials:
        axes = (console.show(trial.overrides.get(axis)) for axis in SHOWN)
        metrics = (f"{trial.status.metrics[key]:.3f}" for key in SHOWN_METRICS)
        table.add_row(*axes, *metrics, str(len(trial.status.attempts)))
    return table


def _last_word(axis: str) -> str:
    return axis.rpartition(".")[2]


def places(layout: Layout, results: SweepResults) -> str:
    """Where everything is, as commands and paths that work from here."""
    folder, root = report_folder(layout, results.record.id), _from_here(layout.root)
    ui = gather.ui_command(layout, program=console.program("mlflow"))
    return (
        f"\nfigure  {_from_here(folder / 'figure.png')}\nreport  {_from_here(folder / 'report.html')}"
        f"\ntrials  {console.program('iwm')} status demo --root {root}\nMLflow  {ui}"
    )


def _from_here(path: Path) -> Path:
    """The shorter of the absolute path and the one from the working folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
