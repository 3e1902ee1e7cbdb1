"""A sweep's report: what was run, the table, the findings, the effects, the cost. Pure but for the figure."""

import datetime
from collections import Counter
from collections.abc import Iterator
from typing import Literal

from dashboards.cells import Table, protocol_of, score_of, tabulate
from dashboards.figures.figure import render_figure
from dashboards.findings import Kind, find
from dashboards.findings.baselines import contests
from dashboards.report import tables
from dashboards.report.document import (
    Block,
    Bullets,
    Document,
    Heading,
    Paragraph,
    Picture,
    to_html,
    to_latex,
    to_markdown,
)
from dashboards.report.paper_comparison import comparison
from dashboards.wording import axis_name, counted, level_name, listed, metric_name, plain
from orchestrator.errors import RequestError
from orchestrator.trial.lifecycle import State
from orchestrator.trial.results import SweepResults, identity

Format = Literal["md", "html", "tex", "csv"]
FORMATS: tuple[Format, ...] = ("md", "html", "tex", "csv")

SECTIONS = {
    Kind.CHECK: "Checks",
    Kind.SUPPORTED: "Supported conclusions",
    Kind.UNSUPPORTED: "Unsupported or inconclusive",
    Kind.NEXT: "Next steps",
}


def checked(format: str) -> Format:
    """The format of that name.

    Raises:
        RequestError: no such format.
    """
    for known in FORMATS:
        if format == known:
            return known
    raise RequestError.unknown("format", format, choices=FORMATS, shown=plain(format))


def render(results: SweepResults, *, format: str = "md") -> str:
    """The report in one of `FORMATS`; the HTML page holds the figure, and CSV is one row per trial.

    Raises:
        RequestError: an unknown format.
    """
    match checked(format):
        case "csv":
            return tables.to_csv(results)
        case "md":
            return to_markdown(compose(results))
        case "html":
            return to_html(compose(results), figure=render_figure(results))
        case "tex":
            return to_latex(compose(results))


def compose(results: SweepResults) -> Document:
    """The report of a sweep."""
    table = tabulate(results)
    name, about = plain(results.record.name), plain(results.record.about)
    title = f"{name}: {about}" if about else f"The sweep {name}"
    return Document(title, tuple(_blocks(results, table)))


def _blocks(results: SweepResults, table: Table) -> Iterator[Block]:
    yield from _what_was_run(results, table)
    yield Heading("Results")
    yield tables.main(table)
    several = "Means over the finished seeds of a cell, ± 95 % CI half-width (Student's t)."
    one = "One seed per cell, so no value has a confidence interval."
    yield Paragraph(f"{several if table.finished_seeds > 1 else one} A dash means no finished trial.")
    yield from _evaluations(table)
    yield Picture(f"{metric_name(table.headline or '')} of every cell, and the probes")
    yield from _findings(results)
    yield from comparison(table)
    yield from _effects(table)
    yield Heading("Cost")
    yield tables.cost(table)
    yield from _identity(results)
    yield from _failures(results)


def _what_was_run(results: SweepResults, table: Table) -> Iterator[Block]:
    record = results.record
    states = Counter(trial.status.state for trial in results.trials)
    submitted = datetime.datetime.fromtimestamp(record.t, tz=datetime.UTC)
    evaluations = sum(1 for cell in table.cells for found in cell.evaluations.values() for _ in found)
    among = f" (including {counted(evaluations, 'evaluation')})" if evaluations else ""
    yield Paragraph(
        f"{counted(len(table.cells), 'cell')}, {counted(len(table.seeds), 'seed')}, "
        f"{counted(len(results.trials), 'trial')}{among}: "
        f"{listed(f'{states[state]} {state.value}' for state in State if states[state])}. "
        f"Sweep `{plain(record.id)}`, submitted {submitted:%Y-%m-%d %H:%M} UTC."
    )
    axes = [f"{axis_name(axis)}: {', '.join(map(level_name, table.levels(axis)))}" for axis in table.axes]
    fixed = [f"fixed: `{plain(' '.join(record.fixed))}`"] if record.fixed else []
    if axes or fixed:
        yield Bullets((*axes, *fixed))


def _evaluations(table: Table) -> Iterator[Block]:
    if grid := tables.evaluations(table):
        names = {
            label: score_of(protocol_of(trial))
            for cell in table.cells
            for label, found in cell.evaluations.items()
            for trial in found
        }
        yield grid
        scores = listed(f"{axis_name(label)}: `{plain(names[label])}`" for label in table.labels)
        yield Paragraph(f"Each evaluation is a trial of its own, on the final weights of its cell's trial. {scores}.")
    found = [contest for cell in table.cells for contest in contests(cell)]
    if grid := tables.baselines(found, axes=table.axes):
        yield grid
        judged = [contest for contest in found if contest.baselines]
        scores, won = sum(len(contest.scores) for contest in judged), sum(contest.won for contest in judged)
        yield Paragraph(
            f"Of {counted(scores, 'score')}, one for each cell, protocol and seed, {won} exceed all of their "
            "baselines. Random encoder: the same protocol on the encoder at initialization; baselines are means over "
            "seeds."
        )


def _findings(results: SweepResults) -> Iterator[Block]:
    found = find(results)
    for kind, title in SECTIONS.items():
        sentences = tuple(finding.text for finding in found if finding.kind is kind)
        if sentences:
            yield Heading(title)
            yield Bullets(sentences)


def _effects(table: Table) -> Iterator[Block]:
    metric = table.headline
    main = tables.main_effects(table, metric=metric) if metric else None
    if main is None or metric is None:
        return
    yield Heading("Main effects")
    yield main
    yield Paragraph(
        "A pair is two finished trials that differ in this axis alone. All cells count here, including those at the "
        "floor, which the findings above leave out. "
        + (
            "± 95 % CI half-width over pairs (Student's t)."
            if table.finished_seeds > 1
            else "With one seed ± describes the variation between cells, not between seeds."
        )
    )
    both = tables.interactions(table, metric=metric)
    if both:
        yield Heading("Interactions")
        yield both


def _identity(results: SweepResults) -> Iterator[Block]:
    labels = Counter(label for trial in results.trials if (label := identity(trial.status)))
    if not labels:
        return
    yield Heading("Identity")
    counts = listed(f"{labels[label]} {label}" for label in ("exact", "tolerance", "drifted") if labels[label])
    yield Paragraph(
        f"{counts}. Exact: never interrupted, or resumed on equal numerics, which guarantees equal bits; tolerance: "
        "resumed on other numerics or without determinism; drifted: a repeated step gave a different value."
    )
    if interrupted := tables.interrupted(results):
        yield interrupted


def _failures(results: SweepResults) -> Iterator[Block]:
    if failed := tables.failures(results):
        yield Heading("Failures")
        yield failed
