"""A report as a page has room for it: of a long table its first rows. Its CSV and LaTeX keep them all. Pure."""

from dataclasses import replace

from dashboards.document import Block, Document, Grid

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
