from pathlib import Path

import pytest

from orchestrator.errors import OverrideError
from orchestrator.planning.yaml_lines import Page

TEXT = """\
a:
  - x: 1
    y: 2
b: 1e-3
"""


@pytest.mark.parametrize(("path", "line"), [((), 1), (("a",), 1), (("a", 0), 2), (("a", 0, "y"), 3), (("b",), 4)])
def test_every_part_knows_its_line(path, line):
    assert Page.of(TEXT, where="f").line(*path) == line


def test_what_is_not_there_has_the_line_of_what_should_hold_it():
    page = Page.of(TEXT, where="f")
    assert page.line("a", 0, "z") == 2
    assert page.at("a", 0, "z") is None
    assert page.items("c") == []


@pytest.mark.parametrize(
    ("text", "value"), [("1e-3", 1e-3), (".5E+2", 50.0), ("1.", 1.0), ("1e3x", "1e3x"), ("no", False)]
)
def test_numbers_are_read_as_in_hydra_files(text, value):
    assert Page.of(f"a: {text}", where="f").at("a") == value


@pytest.mark.parametrize("text", ["a: 'b", "a: !!python/name:os.system x", "\x00"])
def test_broken_yaml_is_one_line(text):
    with pytest.raises(OverrideError) as caught:
        Page.of(text, where="f")
    assert caught.value.path == Path("f")
    assert "\n" not in str(caught.value)
