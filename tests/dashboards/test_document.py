import pytest

from dashboards.document import Grid, one_line, spans


def test_code_stands_between_backticks():
    assert list(spans("run `a b` or `c`")) == [("run ", False), ("a b", True), (" or ", False), ("c", True)]


def test_a_text_on_one_line():
    assert one_line("a\n\n b\tc ") == "a b c "


def test_a_ragged_grid_is_a_mistake():
    with pytest.raises(AssertionError, match="as wide as the header"):
        Grid("", ("a", "b"), (("1",),), labels=1)
