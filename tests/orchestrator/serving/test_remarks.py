"""Nothing is said again and again."""

import logging

from orchestrator.serving.remarks import KEPT, Once


def said(once, text):
    return once.filter(logging.LogRecord("iwm", logging.INFO, "", 0, "%s", (text,), None))


def test_a_line_is_said_once_in_a_while():
    once = Once(again_s=1000)
    assert [said(once, text) for text in ("down", "down", "up", "down")] == [True, False, True, False]
    assert said(Once(again_s=0), "down")


def test_old_lines_are_forgotten():
    once = Once(again_s=1000)
    for number in range(KEPT + 1):
        assert said(once, str(number))
    assert said(once, "0")
    assert not said(once, str(KEPT))
