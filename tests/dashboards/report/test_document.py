import base64
from html.parser import HTMLParser

import pytest

from dashboards.report.document import (
    Bullets,
    Document,
    Grid,
    Heading,
    Latex,
    Markdown,
    Paragraph,
    Picture,
    one_line,
    spans,
    to_html,
    to_latex,
    to_markdown,
)


def test_code_stands_between_backticks():
    assert list(spans("run `a b` or `c`")) == [("run ", False), ("a b", True), (" or ", False), ("c", True)]


def test_a_text_on_one_line():
    assert one_line("a\n\n b\tc ") == "a b c "


def test_a_ragged_grid_is_a_mistake():
    with pytest.raises(AssertionError):
        Grid("", ("a", "b"), (("1",),), labels=1)


def test_nothing_that_came_in_is_a_mark():
    assert Markdown().escape("a|b <script> *x* [y](z) `c` \\ #1 &lt; ~") == (
        "a\\|b \\<script\\> \\*x\\* \\[y\\](z) \\`c\\` \\\\ \\#1 \\&lt; \\~"
    )


def test_an_underscore_is_escaped_only_where_it_could_emphasise():
    assert Markdown().escape("linear_probe _x_") == "linear_probe \\_x\\_"


def test_a_line_break_cannot_end_a_row():
    assert Markdown().escape("a\n| b") == "a \\| b"


def test_blocks():
    grid = Grid("About numbers.", ("name", "n"), (("a", "1"), ("long name", "12")), labels=1)
    document = Document("T", [Heading("H"), Paragraph("run `a_b | c` now"), Bullets(("x",)), grid, Picture("p")])
    assert to_markdown(document) == (
        "# T\n\n## H\n\nrun `a_b | c` now\n\n- x\n\n"
        "| name      |   n |\n| --------- | --: |\n| a         |   1 |\n| long name |  12 |\n"
    )


VOID = {"meta", "img", "br"}
NASTY = "\"'><script>alert(1)</script>$title&amp;"


class Balanced(HTMLParser):
    """Collects tags and fails where one is closed that is not open."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], set(), ""

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(page: str) -> Balanced:
    parser = Balanced()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def test_what_came_in_stays_text():
    grid = Grid(NASTY, (NASTY, "n"), ((NASTY, "1"),), labels=1)
    page = to_html(
        Document(NASTY, [Heading(NASTY), Paragraph(NASTY), Bullets((NASTY,)), grid, Picture(NASTY)]), figure=b"\x89PNG"
    )
    parsed = read(page)
    assert "script" not in parsed.seen
    assert parsed.text.count(NASTY) == 8


def test_the_page_needs_nothing_else():
    page = to_html(Document("T", [Picture("p")]), figure=b"\x89PNG...")
    assert "http://" not in page
    assert "https://" not in page
    assert "@import" not in page
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page
    assert "overflow-x: auto" in page


def test_a_figure_is_embedded_whole():
    page = Document("T", [Picture("p")])
    address = "data:image/png;base64," + base64.b64encode(b"\x89PNG rest").decode()
    assert f'src="{address}"' in to_html(page, figure=b"\x89PNG rest")


def test_without_a_figure_there_is_no_image():
    assert "<img" not in to_html(Document("T", [Picture("p")]))


def test_nothing_that_came_in_is_a_command():
    assert Latex().escape("50% of a_b & {c} $d #1 \\e ~ ^ | < >") == (
        r"50\% of a\_b \& \{c\} \$d \#1 \textbackslash{}e \textasciitilde{} \textasciicircum{} \textbar{} \textless{} "
        r"\textgreater{}"
    )


def test_options_keep_both_dashes():
    assert Latex().escape("--apply") == "-{}-apply"


def test_code_keeps_straight_quotes():
    assert r"\texttt{'seed'}".replace("'", r"\textquotesingle{}") in to_latex(
        Document("T", [Paragraph("run `'seed'`")])
    )


def test_a_table_uses_booktabs():
    text = to_latex(Document("T", [Grid("50 %.", ("name", "n"), (("a_b", "1 ± 2"),), labels=1), Bullets(("x",))]))
    assert "\\begin{tabular}{lr}\n    \\toprule\n    name & n \\\\\n    \\midrule\n    a\\_b & 1 $\\pm$ 2 \\\\" in text
    assert "\\caption{50 \\%.}" in text
    assert "\\item x" in text
