"""A sweep's report: what was run, the table, the effects, the findings, what it cost. Pure but for a template.

`render` writes one content in three formats (dashboards/markdown.py, page.py, latex.py), and the bare rows as CSV
(dashboards/rows.py).
"""

import datetime
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

from dashboards import tables
from dashboards.ablation import Table, protocol_of, score_of, tabulate
from dashboards.baselines import Contest, contests
from dashboards.comparisons import headline
from dashboards.document import Block, Bullets, Document, Heading, Paragraph, Picture
from dashboards.findings import Kind, find
from dashboards.latex import to_latex
from dashboards.markdown import to_markdown
from dashboards.page import to_html
from dashboards.paper_comparison import beside
from dashboards.rows import to_csv
from dashboards.wording import axis_name, counted, level_name, listed, metric_name, plain
from orchestrator.errors import RequestError
from orchestrator.trial.lifecycle import State
from orchestrator.trial.results import SweepResults, identity

Format = Literal["md", "html", "tex", "csv"]
FORMATS: tuple[Format, ...] = ("md", "html", "tex", "csv")

SECTIONS = {
    Kind.CHECK: "Checks",
    Kind.SUPPORTED: "What the table supports",
    Kind.UNSUPPORTED: "What it does not support",
    Kind.NEXT: "What to run next",
}


def render(results: SweepResults, *, format: str = "md", figure: bytes | None = None) -> str:
    """The report as `md`, `html`, `tex` or `csv`. Only `html` holds the figure (a PNG or an SVG).

    Raises:
        RequestError: another format.
    """
    match checked(format):
        case "csv":
            return to_csv(results)
        case "md":
            return to_markdown(compose(results))
        case "html":
            return to_html(compose(results), figure=figure)
        case "tex":
            return to_latex(compose(results))


def checked(format: str) -> Format:
    """The format, if there is one of that name.

    Raises:
        RequestError: there is none.
    """
    for known in FORMATS:
        if format == known:
            return known
    raise RequestError.unknown("format", format, choices=FORMATS, shown=plain(format))


def compose(results: SweepResults) -> Document:
    """The content, before it takes a format."""
    table = tabulate(results)
    name, about = plain(results.record.name), plain(results.record.about)
    title = f"{name}: {about}" if about else f"The sweep {name}"
    return Document(title, tuple(_blocks(results, table)))


def _blocks(results: SweepResults, table: Table) -> Iterator[Block]:
    yield from _what_was_run(results, table)
    yield Heading("Results")
    yield tables.main(table)
    yield Paragraph(_reading(table))
    yield from _evaluations(table)
    yield Picture(f"{metric_name(headline(table) or '')} of every cell, beside the probes")
    yield from _findings(results)
    yield from beside(table)
    yield from _effects(table)
    yield Heading("Cost")
    yield tables.cost(table)
    yield from _trust(results)
    yield from _failures(results)


def _what_was_run(results: SweepResults, table: Table) -> Iterator[Block]:
    record = results.record
    states = Counter(trial.status.state for trial in results.trials)
    submitted = datetime.datetime.fromtimestamp(record.t, tz=datetime.UTC)
    evaluations = sum(1 for cell in table.cells for found in cell.evaluations.values() for _ in found)
    among = f" ({counted(evaluations, 'evaluation')} among them)" if evaluations else ""
    yield Paragraph(
        f"{counted(len(table.cells), 'cell')}, {counted(len(table.seeds), 'seed')}, "
        f"{counted(len(results.trials), 'trial')}{among}: "
        f"{listed(f'{states[state]} {state.value}' for state in State if states[state])}. "
        f"Sweep `{plain(record.id)}`, submitted {submitted:%Y-%m-%d %H:%M} UTC."
    )
    axes = [f"{axis_name(axis)}: {', '.join(map(level_name, table.levels(axis)))}" for axis in table.axes]
    fixed = [f"the same for all: `{plain(' '.join(record.fixed))}`"] if record.fixed else []
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
        said = listed(f"{axis_name(label)}: `{plain(names[label])}`" for label in table.labels)
        yield Paragraph(f"An evaluation is a trial of its own, on the final weights of its cell's trial. {said}.")
    found = [contest for cell in table.cells for contest in contests(cell)]
    if grid := tables.beside_baselines(found, axes=table.axes):
        yield grid
        yield Paragraph(_contested([contest for contest in found if contest.baselines]))


def _contested(found: Sequence[Contest]) -> str:
    """How often evaluations beat what they must beat."""
    scores, won = sum(len(contest.scores) for contest in found), sum(contest.won for contest in found)
    return (
        f"Of {counted(scores, 'score')}, one for each cell, protocol and seed, {won} lie above every baseline beside "
        "them. The random encoder is the same protocol on the encoder as it started; baselines are means over seeds."
    )


def _reading(table: Table) -> str:
    if table.finished_seeds > 1:
        return "Means over the finished seeds of a cell, ± half of Student's 95 % interval. A dash: no finished trial."
    return "One seed per cell, so no value has an interval. A dash: no finished trial."


def _findings(results: SweepResults) -> Iterator[Block]:
    found = find(results)
    for kind, title in SECTIONS.items():
        sentences = tuple(finding.text for finding in found if finding.kind is kind)
        if sentences:
            yield Heading(title)
            yield Bullets(sentences)


def _effects(table: Table) -> Iterator[Block]:
    metric = headline(table)
    main = tables.main_effects(table, metric=metric) if metric else None
    if main is None or metric is None:
        return
    yield Heading("Main effects")
    yield main
    yield Paragraph(
        "A pair is two finished trials that differ in this axis alone. All cells count here, also those at the floor, "
        "which the sentences above leave out. "
        + (
            "± half of Student's 95 % interval over pairs."
            if table.finished_seeds > 1
            else "With one seed ± speaks of the spread between cells, not of other seeds."
        )
    )
    both = tables.interactions(table, metric=metric)
    if both:
        yield Heading("Interactions")
        yield both


def _trust(results: SweepResults) -> Iterator[Block]:
    labels = Counter(label for trial in results.trials if (label := identity(trial.status)))
    if not labels:
        return
    yield Heading("Identity")
    counts = listed(f"{labels[label]} {label}" for label in ("exact", "tolerance", "drifted") if labels[label])
    yield Paragraph(
        f"{counts}. Exact: never interrupted, or resumed on equal numerics, which promises equal bits; tolerance: "
        "resumed on other numerics or without determinism; drifted: a repeated step gave another value."
    )
    if interrupted := tables.interrupted(results):
        yield interrupted


def _failures(results: SweepResults) -> Iterator[Block]:
    if failed := tables.failures(results):
        yield Heading("Failures")
        yield failed
