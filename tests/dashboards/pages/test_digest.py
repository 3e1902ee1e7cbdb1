from dashboards.document import Document, Grid, Paragraph
from dashboards.pages.digest import digest


def test_a_long_table_is_cut_and_says_so():
    long = Grid("Rows.", ("a",), tuple((str(at),) for at in range(5)), labels=1)
    whole = Document("t", (Paragraph("p"), long))
    paragraph, cut = digest(whole, rows=2).blocks
    assert paragraph == Paragraph("p")
    assert isinstance(cut, Grid)
    assert (cut.rows, cut.caption) == ((("0",), ("1",)), "Rows. The first 2 of 5 rows; all are in the LaTeX.")
    assert digest(whole) == whole
