from dashboards.document import Bullets, Document, Grid, Heading, Paragraph, Picture
from dashboards.markdown import escape, to_markdown


def test_nothing_that_came_in_is_a_mark():
    assert escape("a|b <script> *x* [y](z) `c` \\ #1 &lt; ~") == (
        "a\\|b \\<script\\> \\*x\\* \\[y\\](z) \\`c\\` \\\\ \\#1 \\&lt; \\~"
    )


def test_an_underscore_is_escaped_only_where_it_could_emphasise():
    assert escape("linear_probe _x_") == "linear_probe \\_x\\_"


def test_a_line_break_cannot_end_a_row():
    assert escape("a\n| b") == "a \\| b"


def test_blocks():
    grid = Grid("About numbers.", ("name", "n"), (("a", "1"), ("long name", "12")), labels=1)
    document = Document("T", [Heading("H"), Paragraph("run `a_b | c` now"), Bullets(("x",)), grid, Picture("p")])
    assert to_markdown(document) == (
        "# T\n\n## H\n\nrun `a_b | c` now\n\n- x\n\n"
        "| name      |   n |\n| --------- | --: |\n| a         |   1 |\n| long name |  12 |\n"
    )
