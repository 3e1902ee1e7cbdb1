"""A sweep compared with the paper: its values and ours, and where the order is the same. Pure.

Which cell corresponds to which model: paper.py. Verdicts on orders: orchestrator/inference/orders.py. What the paper or
the sweep has not measured is left out.
"""

from collections.abc import Iterator, Mapping

from dashboards.cells import Cell, Table
from dashboards.report.document import Block, Bullets, Grid, Heading, Paragraph
from dashboards.report.paper import C2, CORRELATIONS, LARGE, SHEETS, Column, Model, Sheet, paper_rows, values
from dashboards.report.tables import spread
from dashboards.wording import counted, listed, number, plain, signed
from orchestrator.inference.estimate import estimate
from orchestrator.inference.orders import Order, Place, Verdict, correlations

Models = Mapping[Model, Cell]
SPELLED = 4
"""The longest order that a sentence spells out."""


def comparison(table: Table) -> Iterator[Block]:
    """The section; nothing where no order of the paper can be compared."""
    models = paper_rows(table)
    orders = tuple(_orders(models))
    if not orders:
        return
    yield Heading("Comparison with the paper")
    yield Paragraph(_what_differs(models))
    for sheet in SHEETS:
        yield from _grid(sheet, models)
    counts = {order.title: [order.count(verdict) for verdict in Verdict] for order in orders}
    rows = tuple(
        (order.title, *map(str, (len(order.pairs), *counts[order.title])), signed(order.tau)) for order in orders
    )
    header = ("order", "pairs", "agree", "opposed", "undecided", "tau of means")
    yield Grid("Orders of the paper in our numbers.", header, rows, labels=1)
    yield Paragraph(_together([sum(column) for column in zip(*counts.values(), strict=True)]))
    yield Bullets(tuple(_sentence(order) for order in orders))
    yield from _correlations(models)


def _orders(models: Models) -> Iterator[Order]:
    """Every column, then every row of the tables whose columns can be compared."""
    for sheet in SHEETS:
        lines = {column.title: [(model.name, column, model) for model in column.values] for column in sheet.columns}
        for model in dict.fromkeys(model for column in sheet.columns for model in column.values if sheet.crosswise):
            row = [(column.title, column, model) for column in sheet.columns if model in column.values]
            lines[f"within {model.name}"] = row
        for title, cells in lines.items():
            places = tuple(
                Place(name, column.values[model], ours)
                for name, column, model in cells
                if model in models and (ours := values(models[model], column))
            )
            order = Order(f"{sheet.section} {sheet.title}, {title}", places)
            if order.pairs:
                yield order


def _what_differs(models: Models) -> str:
    configs = [cell.trials[0].config for cell in models.values()]
    images = {
        f"{plain(config.get('data.dataset') or config.get('data.kind'))} at {config.get('data.image_size')} pixels"
        for config in configs
    }
    encoders = {f"{config.get('encoder.depth')} blocks of width {config.get('encoder.width')}" for config in configs}
    steps = {f"{config.get('train.steps')} steps" for config in configs}
    here = "; ".join((listed(sorted(images)), f"encoders of {listed(sorted(encoders))}", listed(sorted(steps))))
    return (
        "The paper trains ViT-B/16 (12 blocks of width 768; ViT-L where stated) on ImageNet-1k at 224 pixels for "
        f"300 epochs. Here: {here}. Sizes, data and recipes differ, so values are "
        "not comparable with the paper's, only orders. The paper's numbers are second-hand and come from one run each "
        "without an interval, so its order of two close values may be chance."
    )


def _grid(sheet: Sheet, models: Models) -> Iterator[Block]:
    columns = [
        column
        for column in sheet.columns
        if any(model in models and values(models[model], column) for model in column.values)
    ]
    rows = dict.fromkeys(model for column in columns for model in column.values if model in models)
    if not columns:
        return
    header = [f"{column.title}, {whose}" for column in columns for whose in ("paper", "ours")]

    def pair(column: Column, model: Model) -> tuple[str, str]:
        ours, digits = estimate(values(models[model], column).values()), 1 if column.percent else 2
        return number(column.values.get(model), digits=digits), spread(ours, digits=digits)

    body = tuple((model.name, *(text for column in columns for text in pair(column, model))) for model in rows)
    left_out = listed(column.title for column in sheet.columns if column not in columns)
    rest = f" Not measured here: {left_out}." if left_out else ""
    yield Paragraph(f"Section {sheet.section}, {sheet.title} {C2}.{rest}")
    yield Grid(f"{sheet.section} {sheet.title}: the paper's values and ours.", ("model", *header), body, labels=1)


def _together(counts: list[int]) -> str:
    agree, opposed, undecided = counts
    return (
        f"Of {counted(sum(counts), 'pair')} with different values in the paper, {agree} have its order here, {opposed} "
        f"the opposite one, and {undecided} are inconclusive: the 95 % CI of the difference (Student's t, by seed) "
        "includes zero or does not exist. One such interval in twenty misses by chance. Tau is Kendall's over the "
        "means of all pairs: +1 where every pair has the paper's order, -1 where none has."
    )


def _sentence(order: Order) -> str:
    agree, opposed, undecided = (order.count(verdict) for verdict in Verdict)
    if not agree and not opposed:
        summary = "inconclusive"
    elif not opposed:
        summary = "every conclusive pair has the paper's order" if undecided else "the paper's order holds"
    elif not agree:
        summary = "every conclusive pair has the opposite order" if undecided else "the order is reversed"
    else:
        summary = "the paper's order holds in part"
    figures = f"{counted(len(order.pairs), 'pair')}: {agree} agree, {opposed} opposed, {undecided} undecided"
    return f"{order.title}: {summary} ({figures}). {_spelled(order)}"


def _spelled(order: Order) -> str:
    if len(order.places) <= SPELLED:
        paper, ours = (
            " > ".join(place.name for place in sorted(order.places, key=value))
            for value in (lambda place: -place.paper, lambda place: -place.mean)
        )
        return f"Paper: {paper}; our means: {ours}."
    against = [pair for pair in order.pairs if pair.verdict is Verdict.OPPOSED]
    if not against:
        return "No pair is reversed."
    return f"Reversed: {listed(f'{pair.worse.name} above {pair.better.name}' for pair in against)}."


def _correlations(models: Models) -> Iterator[Block]:
    columns = {column.title: column for sheet in reversed(SHEETS) for column in sheet.columns}
    iwm = [cell for model, cell in models.items() if model.objective == "iwm" and model != LARGE]
    rows = []
    for item in CORRELATIONS:
        points = [(values(cell, columns["MRR"]), values(cell, columns[item.with_column])) for cell in iwm]
        points = [(one, other) for one, other in points if one.keys() & other.keys()]
        if known := correlations(points):
            half = f" ± {known.half_width:.2f}" if known.half_width is not None else ""
            ours = (signed(known.mean) + half, str(len(points)), str(known.n))
            rows.append((item.title, f"{signed(item.value)} {C2}", *ours))
    if rows:
        header = ("correlation over IWM with ViT-B", "paper", "ours", "variants", "seeds")
        yield Grid("Correlations.", header, tuple(rows), labels=1)
        yield Paragraph("Ours is computed within each seed; ± 95 % CI half-width over seeds (Student's t).")
