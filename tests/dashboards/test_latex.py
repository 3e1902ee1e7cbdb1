from dashboards.document import Bullets, Document, Grid, Paragraph
from dashboards.latex import escape, to_latex


def test_nothing_that_came_in_is_a_command():
    assert escape("50% of a_b & {c} $d #1 \\e ~ ^ | < >") == (
        r"50\% of a\_b \& \{c\} \$d \#1 \textbackslash{}e \textasciitilde{} \textasciicircum{} \textbar{} \textless{} "
        r"\textgreater{}"
    )


def test_options_keep_both_dashes():
    assert escape("--apply") == "-{}-apply"


def test_code_keeps_straight_quotes():
    assert r"\texttt{'seed'}".replace("'", r"\textquotesingle{}") in to_latex(
        Document("T", [Paragraph("run `'seed'`")])
    )


def test_a_table_uses_booktabs():
    text = to_latex(Document("T", [Grid("50 %.", ("name", "n"), (("a_b", "1 ± 2"),), labels=1), Bullets(("x",))]))
    assert "\\begin{tabular}{lr}\n    \\toprule\n    name & n \\\\\n    \\midrule\n    a\\_b & 1 $\\pm$ 2 \\\\" in text
    assert "\\caption{50 \\%.}" in text
    assert "\\item x" in text
