import base64
from html.parser import HTMLParser

from dashboards.document import Bullets, Document, Grid, Heading, Paragraph, Picture
from dashboards.page import data_address, to_html

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
        Document(NASTY, [Heading(NASTY), Paragraph(NASTY), Bullets((NASTY,)), grid, Picture(NASTY)]), figure=b"<svg/>"
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
    assert data_address(b"\x89PNG rest") == "data:image/png;base64," + base64.b64encode(b"\x89PNG rest").decode()
    assert data_address(b"<?xml?><svg/>").startswith("data:image/svg+xml;base64,")


def test_without_a_figure_there_is_no_image():
    assert "<img" not in to_html(Document("T", [Picture("p")]))
