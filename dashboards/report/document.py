"""A report as blocks of plain text, and its three formats: Markdown, HTML, LaTeX. Pure but for the HTML template.

Text is plain and unescaped; text between backticks in a `Paragraph` or in `Bullets` is code. Cells of a `Grid`
have no marks, so they can hold any text of a user or an error.

    Markdown   GitHub's, which also reads well in a terminal; without the figure
    HTML       one page without scripts, fonts or addresses, for light and dark settings; the figure is a data address
    LaTeX      to be \\input into a paper: booktabs tables and lists, read as UTF-8; without the figure
"""

import base64
import html
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

TEMPLATE = Path(__file__).with_name("report.html")


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
    """An unordered list."""

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
    """The place of the figure, in the formats that can hold one."""

    alt: str


Block = Heading | Paragraph | Bullets | Grid | Picture


@dataclass(frozen=True)
class Document:
    """The content of a report."""

    title: str
    blocks: Sequence[Block]


def spans(text: str) -> Iterator[tuple[str, bool]]:
    """The pieces of a text, each with True where it is code."""
    for at, piece in enumerate(text.split("`")):
        if piece:
            yield piece, at % 2 == 1


def one_line(text: str) -> str:
    """The text with each run of white space as one space."""
    return re.sub(r"\s+", " ", text)


class Format(ABC):
    """A format, as a writer of blocks."""

    heading: str
    code: str
    item: str
    begin, end = "", ""

    @abstractmethod
    def escape(self, text: str) -> str:
        """The text without anything that the format would interpret."""

    @abstractmethod
    def grid(self, grid: Grid) -> str:
        """A table."""

    def picture(self, picture: Picture) -> str:
        """The figure; empty where there is none."""
        return ""

    def inline(self, text: str) -> str:
        """Running text with its code."""
        return "".join(
            self.code.format(self.literal(piece)) if code else self.escape(piece) for piece, code in spans(text)
        )

    def literal(self, code: str) -> str:
        """The inside of a piece of code."""
        return self.escape(code)

    def paragraph(self, text: str) -> str:
        """Running text as a block."""
        return self.inline(text)

    def blocks(self, document: Document) -> list[str]:
        """Every block as text, without the empty ones."""
        return [text for block in document.blocks if (text := self._block(block))]

    def _block(self, block: Block) -> str:
        match block:
            case Heading(text):
                return self.heading.format(self.escape(text))
            case Paragraph(text):
                return self.paragraph(text)
            case Bullets(items):
                return self.begin + "\n".join(self.item.format(self.inline(item)) for item in items) + self.end
            case Grid():
                return self.grid(block)
            case Picture():
                return self.picture(block)


class Markdown(Format):
    """GitHub-flavoured Markdown."""

    heading, code, item = "## {}", "`{}`", "- {}"
    _special = re.compile(r"([\\`*|<>\[\]~#&])|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")

    def escape(self, text: str) -> str:
        """One line without marks. An underscore inside a word needs no escape."""
        return self._special.sub(lambda match: "\\" + match.group(), one_line(text))

    def literal(self, code: str) -> str:
        """As it is: Markdown interprets nothing between backticks."""
        return code

    def grid(self, grid: Grid) -> str:
        """Columns padded to one width; captions are left out."""
        rows = [[self.escape(text) for text in row] for row in (grid.header, *grid.rows)]
        widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
        rule = ["-" * width if at < grid.labels else "-" * (width - 1) + ":" for at, width in enumerate(widths)]
        padded = [
            [
                text.ljust(width) if at < grid.labels else text.rjust(width)
                for at, (text, width) in enumerate(zip(row, widths, strict=True))
            ]
            for row in rows
        ]
        return "\n".join(f"| {' | '.join(row)} |" for row in (padded[0], rule, *padded[1:]))


class Html(Format):
    """HTML, escaped; `figure` is a PNG."""

    heading, code, item = "<h2>{}</h2>", "<code>{}</code>", "<li>{}</li>"
    begin, end = "<ul>\n", "\n</ul>"

    def __init__(self, figure: bytes | None = None) -> None:
        self._figure = figure

    def escape(self, text: str) -> str:
        """The text with entities for marks and quotes."""
        return html.escape(text)

    def paragraph(self, text: str) -> str:
        """A `p` element."""
        return f"<p>{self.inline(text)}</p>"

    def picture(self, picture: Picture) -> str:
        """The figure as a data address."""
        if not self._figure:
            return ""
        address = f"data:image/png;base64,{base64.b64encode(self._figure).decode()}"
        return f'<img src="{address}" alt="{html.escape(picture.alt)}">'

    def grid(self, grid: Grid) -> str:
        """A table that scrolls by itself."""
        caption, head = html.escape(grid.caption), self._row(grid.header, tag='th scope="col"', labels=grid.labels)
        return "\n".join(
            [
                f'<div class="scroll" role="region" aria-label="{caption}" tabindex="0"><table>',
                f"<caption>{caption}</caption>",
                f"<thead>{head}</thead>",
                "<tbody>",
                *(self._row(row, tag="td", labels=grid.labels) for row in grid.rows),
                "</tbody>",
                "</table></div>",
            ]
        )

    def _row(self, row: tuple[str, ...], *, tag: str, labels: int) -> str:
        opening = [f"<{tag}>"] * labels + [f'<{tag} class="n">'] * (len(row) - labels)
        cells = (f"{begin}{html.escape(text)}</{tag[:2]}>" for begin, text in zip(opening, row, strict=True))
        return f"<tr>{''.join(cells)}</tr>"


class Latex(Format):
    """LaTeX for an engine that reads UTF-8."""

    heading, code, item = "\\subsection*{{{}}}", "\\texttt{{{}}}", "  \\item {}"
    begin, end = "\\begin{itemize}\n", "\n\\end{itemize}"
    preamble = "% Needs \\usepackage[T1]{fontenc}, \\usepackage{textcomp} and \\usepackage{booktabs}.\n"
    _escapes = str.maketrans(
        {
            "\\": r"\textbackslash{}",
            "{": r"\{",
            "}": r"\}",
            "$": r"\$",
            "&": r"\&",
            "#": r"\#",
            "%": r"\%",
            "_": r"\_",
            "~": r"\textasciitilde{}",
            "^": r"\textasciicircum{}",
            "<": r"\textless{}",
            ">": r"\textgreater{}",
            "|": r"\textbar{}",
            '"': r"\textquotedbl{}",
            "`": r"\textasciigrave{}",
            "–": r"\textendash{}",
            "±": r"$\pm$",
            "×": r"$\times$",
        }
    )

    def escape(self, text: str) -> str:
        """One line without commands."""
        return one_line(text).translate(self._escapes).replace("--", "-{}-")

    def literal(self, code: str) -> str:
        """Code keeps its straight quotes."""
        return self.escape(code).replace("'", r"\textquotesingle{}")

    def grid(self, grid: Grid) -> str:
        """A table with the rules of booktabs."""
        columns = "l" * grid.labels + "r" * (len(grid.header) - grid.labels)
        head, *rows = (" & ".join(map(self.escape, row)) + " \\\\" for row in (grid.header, *grid.rows))
        return "\n".join(
            [
                "\\begin{table}[ht]",
                "  \\centering\\small\\setlength{\\tabcolsep}{4pt}",
                f"  \\caption{{{self.escape(grid.caption)}}}",
                f"  \\begin{{tabular}}{{{columns}}}",
                "    \\toprule",
                f"    {head}",
                "    \\midrule",
                *(f"    {row}" for row in rows),
                "    \\bottomrule",
                "  \\end{tabular}",
                "\\end{table}",
            ]
        )


def to_markdown(document: Document) -> str:
    """The document as Markdown."""
    markdown = Markdown()
    return "\n\n".join([f"# {markdown.escape(document.title)}", *markdown.blocks(document)]) + "\n"


def to_html(document: Document, *, figure: bytes | None = None) -> str:
    """The document as a page; `figure` is a PNG."""
    template = Template(TEMPLATE.read_text(encoding="utf-8"))
    return template.substitute(title=html.escape(document.title), body=html_body(document, figure=figure))


def html_body(document: Document, *, figure: bytes | None = None) -> str:
    """The blocks alone as HTML."""
    return "\n".join(Html(figure).blocks(document))


def to_latex(document: Document) -> str:
    """The document as LaTeX."""
    latex = Latex()
    title = f"\\section*{{{latex.escape(document.title)}}}"
    return latex.preamble + "\n\n".join([title, *latex.blocks(document)]) + "\n"
