"""A document as LaTeX to be \\input into a paper: booktabs tables, lists, nothing else. Pure.

Needs `\\usepackage{booktabs}` and an engine that reads UTF-8. Pictures are left out: LaTeX includes them from files.
"""

from dashboards.document import Block, Bullets, Document, Grid, Heading, Paragraph, Picture, one_line, spans

ESCAPES = {
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
STRAIGHT = r"\textquotesingle{}"
PREAMBLE = "% Needs \\usepackage[T1]{fontenc}, \\usepackage{textcomp} and \\usepackage{booktabs}.\n"


def to_latex(document: Document) -> str:
    """The whole text."""
    blocks = [f"\\section*{{{escape(document.title)}}}", *(_block(block) for block in document.blocks)]
    return PREAMBLE + "\n\n".join(block for block in blocks if block) + "\n"


def escape(text: str) -> str:
    """One line in which nothing is a command."""
    return "".join(ESCAPES.get(character, character) for character in one_line(text)).replace("--", "-{}-")


def _block(block: Block) -> str:
    match block:
        case Heading(text):
            return f"\\subsection*{{{escape(text)}}}"
        case Paragraph(text):
            return _inline(text)
        case Bullets(items):
            return "\n".join(["\\begin{itemize}", *(f"  \\item {_inline(item)}" for item in items), "\\end{itemize}"])
        case Grid():
            return _grid(block)
        case Picture():
            return ""


def _inline(text: str) -> str:
    return "".join(_piece(piece, code=code) for piece, code in spans(text))


def _piece(piece: str, *, code: bool) -> str:
    if not code:
        return escape(piece)
    straight = escape(piece).replace("'", STRAIGHT)
    return f"\\texttt{{{straight}}}"


def _grid(grid: Grid) -> str:
    columns = "l" * grid.labels + "r" * (len(grid.header) - grid.labels)
    return "\n".join(
        [
            "\\begin{table}[ht]",
            "  \\centering\\small\\setlength{\\tabcolsep}{4pt}",
            f"  \\caption{{{escape(grid.caption)}}}",
            f"  \\begin{{tabular}}{{{columns}}}",
            "    \\toprule",
            f"    {_row(grid.header)}",
            "    \\midrule",
            *(f"    {_row(row)}" for row in grid.rows),
            "    \\bottomrule",
            "  \\end{tabular}",
            "\\end{table}",
        ]
    )


def _row(row: tuple[str, ...]) -> str:
    return " & ".join(escape(text) for text in row) + " \\\\"
