"""A document as GitHub-flavoured Markdown that also reads well in a terminal. Pure.

Pictures are left out: Markdown has no way to carry one inside the text that is shown everywhere.
"""

import re

from dashboards.document import Block, Bullets, Document, Grid, Heading, Paragraph, Picture, one_line, spans

SPECIAL = re.compile(r"([\\`*|<>\[\]~#&])|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def to_markdown(document: Document) -> str:
    """The whole text."""
    blocks = [f"# {escape(document.title)}", *(_block(block) for block in document.blocks)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def escape(text: str) -> str:
    """One line in which nothing is a mark. An underscore inside a word needs no escape."""
    return SPECIAL.sub(lambda match: "\\" + match.group(), one_line(text))


def _block(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {escape(text)}"
        case Paragraph(text):
            return _inline(text)
        case Bullets(items):
            return "\n".join(f"- {_inline(item)}" for item in items)
        case Grid():
            return _grid(block)
        case Picture():
            return ""


def _inline(text: str) -> str:
    return "".join(f"`{piece}`" if code else escape(piece) for piece, code in spans(text))


def _grid(grid: Grid) -> str:
    rows = [[escape(text) for text in row] for row in (grid.header, *grid.rows)]
    widths = [max(3, *(len(row[at]) for row in rows)) for at in range(len(grid.header))]
    rule = ["-" * width if at < grid.labels else "-" * (width - 1) + ":" for at, width in enumerate(widths)]
    lines = [_line(rows[0], widths, labels=grid.labels), f"| {' | '.join(rule)} |"]
    return "\n".join(lines + [_line(row, widths, labels=grid.labels) for row in rows[1:]])


def _line(row: list[str], widths: list[int], *, labels: int) -> str:
    padded = [
        text.ljust(width) if at < labels else text.rjust(width)
        for at, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"
