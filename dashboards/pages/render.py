"""Values to HTML, by Jinja2. Every value is escaped, except our own HTML, which is marked with `Markup`.

A page shows the first rows of a long table of the report; CSV and LaTeX have them all.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from dashboards.report.document import Document, Grid, html_body
from dashboards.wording import TEXT_MAX, axis_name, level_name, metric_name, number, plain, shortened
from orchestrator.planning.forecast import duration

FOLDER = Path(__file__).parent
SHADES = 20
"""The colour scale has classes `shade-0` to `shade-20`."""


def shade(share: float | None) -> str:
    """The class of a cell's colour."""
    return "shade-none" if share is None else f"shade-{round(share * SHADES)}"


def link(*parts: str, **query: str) -> str:
    """An address of ours, quoted."""
    path = "/iwm/" + "/".join(quote(part, safe="") for part in parts)
    chosen = {key: value for key, value in query.items() if value}
    return path + (f"?{urlencode(chosen)}" if chosen else "")


def document(content: Document) -> Markup:
    """A report's blocks as HTML, which `html_body` has escaped."""
    return Markup(html_body(content))


def page(template: str, values: Mapping[str, Any]) -> str:
    """A whole page."""
    return _environment.get_template(template).render(values)


_environment = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.globals |= {"link": link}
_environment.filters |= {
    "shade": shade,
    "axis": axis_name,
    "level": level_name,
    "metric": metric_name,
    "number": number,
    "duration": duration,
    "report": document,
    "plain": plain,
    "short": partial(shortened, most=TEXT_MAX),
}


ROWS = 200
"""The most rows of one table on a page."""


def digest(document: Document, *, rows: int = ROWS) -> Document:
    """The report with at most this many rows in each table."""
    blocks = list(document.blocks)
    for at, block in enumerate(blocks):
        if isinstance(block, Grid) and len(block.rows) > rows:
            caption = f"{block.caption} The first {rows:,} of {len(block.rows):,} rows; all are in the LaTeX."
            blocks[at] = replace(block, caption=caption, rows=block.rows[:rows])
    return replace(document, blocks=tuple(blocks))
