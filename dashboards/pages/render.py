"""Values to HTML, by Jinja2. Every value is escaped; what is HTML already is ours, and says so with `Markup`.

A report is shown as a page has room for it: of a long table its first rows. Its CSV and LaTeX keep them all.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from dashboards.report.document import Block, Document, Grid, html_body
from dashboards.wording import TEXT_MAX, axis_name, level_name, metric_name, number, plain, shortened
from orchestrator.planning.forecast import duration

FOLDER = Path(__file__).parent
SHADES = 20
"""Steps of the colour scale; a cell's class is `shade-0` to `shade-20`."""


def shade(share: float | None) -> str:
    """The class of a cell's colour."""
    return "shade-none" if share is None else f"shade-{round(share * SHADES)}"


def link(*parts: str, **query: str) -> str:
    """An address of ours, quoted."""
    path = "/iwm/" + "/".join(quote(part, safe="") for part in parts)
    chosen = {key: value for key, value in query.items() if value}
    return path + (f"?{urlencode(chosen)}" if chosen else "")


def short(text: str) -> str:
    """Somebody else's text with its line breaks, as much of it as anybody reads."""
    return shortened(text, most=TEXT_MAX)


def document(content: Document, *, figure: bytes | None = None) -> Markup:
    """A report's blocks as HTML, which `dashboards.page` has escaped."""
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
    "short": short,
}


ROWS = 200
"""Rows of one table."""


def digest(document: Document, *, rows: int = ROWS) -> Document:
    """The report, with no table longer than that."""
    return replace(document, blocks=tuple(_short(block, rows=rows) for block in document.blocks))


def _short(block: Block, *, rows: int) -> Block:
    if not isinstance(block, Grid) or len(block.rows) <= rows:
        return block
    caption = f"{block.caption} The first {rows:,} of {len(block.rows):,} rows; all are in the LaTeX."
    return replace(block, caption=caption, rows=block.rows[:rows])
