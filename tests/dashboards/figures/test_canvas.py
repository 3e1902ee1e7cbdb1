import pytest

from dashboards.cells import tabulate
from dashboards.figures.canvas import Roles, assign, cells_at, levels
from tests.fakes.results import sweep

WORDS, NUMBERS, MORE = ["none", "feature"], [1.0, 0.25], [2, 4]


def table(axes):
    return tabulate(sweep(axes, measure=lambda levels, seed: {"mrr": 0.1}))


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ({}, Roles(None, None, None)),
        ({"c": WORDS}, Roles("c", None, None)),
        ({"c": WORDS, "s": NUMBERS, "d": MORE}, Roles("s", "c", "d")),
        ({"s": NUMBERS, "d": MORE}, Roles("s", "d", None)),
        ({"d": MORE, "m": WORDS, "c": WORDS, "e": WORDS}, Roles("d", "m", "c")),
        ({"s": NUMBERS, "c": WORDS, "many": list(range(9))}, Roles("s", "c", None)),
        ({"s": NUMBERS, "one": ["x"]}, Roles("s", None, None)),
    ],
)
def test_axes_take_their_parts(axes, expected):
    assert assign(table(axes)) == expected


def test_numbers_are_sorted_and_words_are_not():
    known = table({"c": WORDS, "s": NUMBERS})
    assert levels(known, "s") == (0.25, 1.0)
    assert levels(known, "c") == ("none", "feature")
    assert levels(known, None) == (None,)


def test_cells_of_a_place():
    known = table({"c": WORDS, "s": NUMBERS})
    assert [cell.levels["s"] for cell in cells_at(known, {"c": "none", None: None})] == [1.0, 0.25]
