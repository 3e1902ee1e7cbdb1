"""A document as one HTML page that needs nothing else: no script, no font, no address. Pure but for its template.

It follows the reader's light or dark setting and a phone's width. The figure travels inside as a data address.
"""

import base64
from html import escape
from pathlib import Path
from string import Template

from dashboards.document import Block, Bullets, Document, Grid, Heading, Paragraph, Picture, spans

TEMPLATE = Path(__file__).with_name("templates") / "report.html"


def to_html(document: Document, *, figure: bytes | None = None) -> str:
    """The whole page; `figure` is a PNG or an SVG."""
    template = TEMPLATE.read_text(encoding="utf-8")
    return Template(template).substitute(title=escape(document.title), body=body(document, figure=figure))


def body(document: Document, *, figure: bytes | None = None) -> str:
    """The blocks alone, escaped."""
    return "\n".join(text for block in document.blocks if (text := _block(block, figure=figure)))


def data_address(figure: bytes) -> str:
    """The figure as an address that contains it."""
    kind = "image/png" if figure.startswith(b"\x89PNG") else "image/svg+xml"
    return f"data:{kind};base64,{base64.b64encode(figure).decode()}"


def _block(block: Block, *, figure: bytes | None) -> str:
    match block:
        case Heading(text):
            return f"<h2>{escape(text)}</h2>"
        case Paragraph(text):
            return f"<p>{_inline(text)}</p>"
        case Bullets(items):
            return "<ul>\n" + "\n".join(f"<li>{_inline(item)}</li>" for item in items) + "\n</ul>"
        case Grid():
            return _grid(block)
        case Picture(alt):
            return f'<img src="{data_address(figure)}" alt="{escape(alt)}">' if figure else ""


def _inline(text: str) -> str:
    return "".join(f"<code>{escape(piece)}</code>" if code else escape(piece) for piece, code in spans(text))


def _grid(grid: Grid) -> str:
    head = "".join(_cell(text, tag="th", at=at, labels=grid.labels) for at, text in enumerate(grid.header))
    rows = [
        "<tr>" + "".join(_cell(text, tag="td", at=at, labels=grid.labels) for at, text in enumerate(row)) + "</tr>"
        for row in grid.rows
    ]
    return "\n".join(
        [
            f'<div class="scroll" role="region" aria-label="{escape(grid.caption)}" tabindex="0"><table>',
            f"<caption>{escape(grid.caption)}</caption>",
            f"<thead><tr>{head}</tr></thead>",
            "<tbody>",
            *rows,
            "</tbody>",
            "</table></div>",
        ]
    )


def _cell(text: str, *, tag: str, at: int, labels: int) -> str:
    kind = "" if at < labels else ' class="n"'
    scope = ' scope="col"' if tag == "th" else ""
    return f"<{tag}{scope}{kind}>{escape(text)}</{tag}>"
