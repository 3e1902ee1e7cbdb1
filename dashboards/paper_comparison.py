"""A sweep beside the paper: its tables with ours, and where the order is the same. Pure.

What a cell stands for is decided in paper_rows.py, what an order is worth in orchestrator/inference/orders.py.
Nothing is said of what the paper or the sweep has not measured.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from dashboards.ablation import Cell, Table
from dashboards.document import Block, Bullets, Grid, Heading, Paragraph
from dashboards.paper import CORRELATIONS, LARGE, SHEETS, Column, Model, Sheet
from dashboards.paper_rows import paper_rows, values
from dashboards.tables import spread
from dashboards.wording import counted, listed, number, plain, signed
from orchestrator.inference.estimate import Estimate, estimate
from orchestrator.inference.orders import Order, Place, Verdict, correlations

Models = Mapping[Model, Cell]
SPELLED = 4
"""Places of an order that a sentence spells out."""


def beside(table: Table) -> Iterator[Block]:
    """The section; nothing where no order of the paper can be looked at."""
    models = paper_rows(table)
    orders = tuple(_orders(models))
    if not orders:
        return
    yield Heading("Beside the paper")
    yield Paragraph(_what_differs(models))
    for sheet in SHEETS:
        yield from _grid(sheet, models)
    yield _counts(orders)
    yield Paragraph(_together(orders))
    yield Bullets(tuple(_sentence(order) for order in orders))
    yield from _correlations(models)


def _orders(models: Models) -> Iterator[Order]:
    """Every column, then every row of the tables whose columns can be compared."""
    for sheet in SHEETS:
        for column in sheet.columns:
            places = [
                Place(model.name, value, ours)
                for model, value in column.values.items()
                if model in models and (ours := values(models[model], column))
            ]
            yield from _order(f"{sheet.title}, {column.title}", sheet.section, column.mark, places)
        for model in dict.fromkeys(model for column in sheet.columns for model in column.values if sheet.crosswise):
            places = [
                Place(column.title, column.values[model], ours)
                for column in sheet.columns
                if model in column.values and model in models and (ours := values(models[model], column))
            ]
            yield from _order(f"{sheet.title}, within {model.name}", sheet.section, sheet.columns[0].mark, places)


def _order(title: str, section: str, mark: str, places: list[Place]) -> Iterator[Order]:
    order = Order(title, section, mark, tuple(places))
    if order.pairs:
        yield order


def _what_differs(models: Models) -> str:
    configs = [cell.trials[0].config for cell in models.values()]
    told = ({tell(config) for config in configs} for tell in (_images, _encoder, _steps))
    images, encoders, steps = (listed(sorted(found)) for found in told)
    return (
        "The paper trains ViT-B/16 (12 blocks of width 768; ViT-L where it says so) on ImageNet-1k at 224 pixels for "
        f"300 epochs. Here: {images}; encoders of {encoders}; {steps}. Sizes, data and recipes differ, so no value can "
        "be held against the paper's; what can be compared is the order. The paper's numbers are second-hand, each of "
        "one run without an interval, so an order of two close ones may itself be chance."
    )


def _images(config: Mapping[str, Any]) -> str:
    name = config.get("data.dataset") or config.get("data.kind")
    return f"{plain(name)} at {config.get('data.image_size')} pixels"


def _encoder(config: Mapping[str, Any]) -> str:
    return f"{config.get('encoder.depth')} blocks of width {config.get('encoder.width')}"


def _steps(config: Mapping[str, Any]) -> str:
    return f"{config.get('train.steps')} steps"


def _grid(sheet: Sheet, models: Models) -> Iterator[Block]:
    columns = [column for column in sheet.columns if any(_has(models, model, column) for model in column.values)]
    rows = dict.fromkeys(model for column in columns for model in column.values if model in models)
    if not columns:
        return
    header = [f"{column.title}, {whose}" for column in columns for whose in ("paper", "ours")]
    body = tuple((model.name, *(text for column in columns for text in _both(column, model, models))) for model in rows)
    left_out = listed(column.title for column in sheet.columns if column not in columns)
    rest = f" Not measured here: {left_out}." if left_out else ""
    yield Paragraph(f"Section {sheet.section}, {sheet.title} {sheet.columns[0].mark}.{rest}")
    yield Grid(f"{sheet.section} {sheet.title}: the paper's values and ours.", ("model", *header), body, labels=1)


def _has(models: Models, model: Model, column: Column) -> bool:
    return model in models and bool(values(models[model], column))


def _both(column: Column, model: Model, models: Models) -> tuple[str, str]:
    digits = 1 if column.percent else 2
    return (
        number(column.values.get(model), digits=digits),
        spread(estimate(values(models[model], column).values()), digits=digits),
    )


def _counts(orders: tuple[Order, ...]) -> Grid:
    rows = [(order.title, order.section, *_row(order)) for order in orders]
    header = ("order", "section", "pairs", "agree", "opposed", "undecided", "tau of means")
    return Grid("Orders of the paper in our numbers.", header, tuple(rows), labels=2)


def _row(order: Order) -> tuple[str, ...]:
    return (str(len(order.pairs)), *(str(order.count(verdict)) for verdict in Verdict), signed(order.tau))


def _together(orders: tuple[Order, ...]) -> str:
    pairs = sum(len(order.pairs) for order in orders)
    agree, opposed, undecided = (sum(order.count(verdict) for order in orders) for verdict in Verdict)
    return (
        f"Of {counted(pairs, 'pair')} that the paper tells apart, {agree} have its order here, {opposed} the opposite "
        f"one and {undecided} are not decided: Student's 95 % interval of the difference, paired by seed, includes "
        "zero or does not exist. One such interval in twenty misses by chance. Tau goes by the means alone, decided or "
        "not: +1 where all pairs stand as in the paper, -1 where none does."
    )


def _sentence(order: Order) -> str:
    agree, opposed, undecided = (order.count(verdict) for verdict in Verdict)
    if not agree and not opposed:
        said = "nothing is decided"
    elif not opposed:
        said = "what is decided has the paper's order" if undecided else "the paper's order holds"
    elif not agree:
        said = "what is decided has the opposite order" if undecided else "the order is the opposite one"
    else:
        said = "the paper's order holds in part"
    figures = f"{counted(len(order.pairs), 'pair')}: {agree} agree, {opposed} opposed, {undecided} undecided"
    return f"{order.title} ({order.section}, {order.mark}): {said} ({figures}). {_spelled(order)}"


def _spelled(order: Order) -> str:
    if len(order.places) <= SPELLED:
        ours = sorted(order.places, key=lambda place: -place.mean)
        paper = sorted(order.places, key=lambda place: -place.paper)
        return f"The paper has {_chain(paper)}, our means {_chain(ours)}."
    against = [pair for pair in order.pairs if pair.verdict is Verdict.OPPOSED]
    if not against:
        return "No pair stands the other way."
    return f"The other way: {listed(f'{pair.worse.name} above {pair.better.name}' for pair in against)}."


def _chain(places: list[Place]) -> str:
    return " > ".join(place.name for place in places)


def _correlations(models: Models) -> Iterator[Block]:
    columns = {column.title: column for sheet in reversed(SHEETS) for column in sheet.columns}
    iwm = [cell for model, cell in models.items() if model.objective == "iwm" and model != LARGE]
    rows = []
    for item in CORRELATIONS:
        points = [(values(cell, columns["MRR"]), values(cell, columns[item.with_column])) for cell in iwm]
        points = [(one, other) for one, other in points if one.keys() & other.keys()]
        if known := correlations(points):
            rows.append(
                (item.title, f"{signed(item.value)} {item.mark}", _signed(known), str(len(points)), str(known.n))
            )
    if rows:
        header = ("correlation over IWM with ViT-B", "paper", "ours", "variants", "seeds")
        yield Grid("Correlations.", header, tuple(rows), labels=1)
        yield Paragraph("Ours is taken within each seed; ± is half of Student's 95 % interval over seeds.")


def _signed(known: Estimate) -> str:
    return signed(known.mean) + (f" ± {known.half_width:.2f}" if known.half_width is not None else "")
