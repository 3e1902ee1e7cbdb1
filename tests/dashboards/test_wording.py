import pytest

from dashboards.wording import (
    TEXT_MAX,
    axis_name,
    capital,
    counted,
    exact,
    level_name,
    listed,
    more_of,
    number,
    plain,
    signed,
)


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        ("conditioning.kind", "conditioning"),
        ("predictor.depth", "predictor depth"),
        ("optim.weight_decay", "optim weight decay"),
    ],
)
def test_axes_read_as_words(axis, expected):
    assert axis_name(axis) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1.0, "1.0"),
        (1e-05, "1e-05"),
        ("a", "a"),
    ],
)
def test_values_stand_as_they_would_be_typed(value, expected):
    assert exact(value) == level_name(value) == expected


def test_foreign_text_loses_our_marks_and_its_controls():
    assert plain("a `b`\n\tc\x1b[31m\u202e") == "a 'b' c[31m"


def test_what_is_too_long_to_be_read_keeps_its_ends():
    long = level_name("a" * 10_000_000 + "z")
    assert (len(long), long[0], long[-1]) == (119, "a", "z")
    assert len(plain("word " * 100_000)) <= TEXT_MAX
    assert exact("a" * 1_000) == "a" * 1_000


def test_numbers():
    assert number(None) == "–"
    assert number(0.12345) == "0.123"
    assert signed(-0.001) == "+0.00"
    assert signed(-0.01) == "-0.01"
    assert signed(0.5) == "+0.50"


def test_sentences():
    assert counted(1, "seed") == "1 seed"
    assert counted(0, "seed") == "0 seeds"
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed("abc") == "a, b and c"
    assert capital("a deeper") == "A deeper"
    assert more_of("masks.blocks") == "a higher masks blocks"
