import pytest

from dashboards.pages.render import digest, document, link, page, shade
from dashboards.report.document import Document, Grid, Paragraph


def test_addresses_are_quoted():
    assert link("sweeps", "a/../b", metric="<x>", rows="") == "/iwm/sweeps/a%2F..%2Fb?metric=%3Cx%3E"


@pytest.mark.parametrize(
    ("share", "name"), [(None, "shade-none"), (0.0, "shade-0"), (0.52, "shade-10"), (1.0, "shade-20")]
)
def test_shades(share, name):
    assert shade(share) == name


def test_every_value_is_escaped():
    from orchestrator.trial.lifecycle import State

    text = page("sweeps.html", {"overviews": (), "root": "<script>alert(1)</script>", "State": State, "at": "now"})
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text
    assert str(document(Document("t", (Paragraph("<b>"),)))) == "<p>&lt;b&gt;</p>"


def test_a_long_table_is_cut_and_says_so():
    long = Grid("Rows.", ("a",), tuple((str(at),) for at in range(5)), labels=1)
    whole = Document("t", (Paragraph("p"), long))
    paragraph, cut = digest(whole, rows=2).blocks
    assert paragraph == Paragraph("p")
    assert isinstance(cut, Grid)
    assert (cut.rows, cut.caption) == ((("0",), ("1",)), "Rows. The first 2 of 5 rows; all are in the LaTeX.")
    assert digest(whole) == whole
