"""A bar is drawn where somebody looks, and only about what takes long."""

import io

import pytest
from rich.console import Console

from orchestrator.host import progress


@pytest.fixture
def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=80)


def drawn(console):
    return console.file.getvalue()


def test_what_is_quick_draws_nothing(terminal):
    with progress.shown(console=terminal):
        assert list(progress.track([1, 2, 3], "counting")) == [1, 2, 3]
    assert not drawn(terminal)


def test_what_takes_long_has_one_bar_the_outer_one(terminal):
    with progress.shown(console=terminal, patience_s=-1):
        for _ in progress.track(range(3), "reading trials"):
            assert list(progress.track(range(2), "inside")) == [0, 1]
    assert "reading trials" in drawn(terminal)
    assert "3/3" in drawn(terminal)
    assert "inside" not in drawn(terminal)


def test_nothing_is_drawn_under_json_elsewhere_than_on_a_terminal_or_where_nobody_asked(terminal):
    plain = Console(file=io.StringIO())
    with progress.shown(json=True, console=terminal, patience_s=-1), progress.during("waiting"):
        list(progress.track(range(3), "counting"))
    with progress.shown(console=plain, patience_s=-1), progress.during("waiting"):
        list(progress.track(range(3), "counting"))
    list(progress.track(range(3), "counting"))
    assert not drawn(terminal)
    assert not drawn(plain)


def test_a_loop_that_is_left_early_leaves_no_bar_and_the_next_one_is_drawn(terminal):
    with progress.shown(console=terminal, patience_s=-1):
        for _ in progress.track(range(9), "first"):
            for place in progress.track(range(9), "inside"):
                if place == 1:
                    break
            break
        list(progress.track(range(3), "second"))
    assert "second" in drawn(terminal)
