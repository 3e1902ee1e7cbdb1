"""A report before it takes a format: a title and blocks of plain text. Pure.

Text is plain and unescaped; what stands between backticks in a `Paragraph` or in `Bullets` is code. Cells of a `Grid`
know no marks at all, so that anything a person or an error wrote can stand there.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Heading:
    """Begins a section."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list without order."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """A table. The first `labels` columns are words and stand to the left, the others are numbers and stand right."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    labels: int

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.header) for row in self.rows), "every row is as wide as the header"


@dataclass(frozen=True)
class Picture:
    """Where the figure goes, in the formats that can hold one."""

    alt: str


Block = Heading | Paragraph | Bullets | Grid | Picture


@dataclass(frozen=True)
class Document:
    """What every format says."""

    title: str
    blocks: Sequence[Block]


def spans(text: str) -> Iterator[tuple[str, bool]]:
    """The pieces of a text, each with whether it is code."""
    for at, piece in enumerate(text.split("`")):
        if piece:
            yield piece, at % 2 == 1


def one_line(text: str) -> str:
    """The text with every stretch of white space as one space."""
    return re.sub(r"\s+", " ", text)
