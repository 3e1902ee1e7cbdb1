"""A periodic task survives every failure; the same line is not logged again and again."""

import logging
import threading

from orchestrator.errors import TrackingError
from orchestrator.serving.periodic import Once, PeriodicTask


class Work:
    """Returns or raises these results in turn, then ends."""

    def __init__(self, *results):
        self.results, self.calls, self.ended = list(results), 0, threading.Event()

    def __call__(self):
        self.calls += 1
        result = self.results.pop(0)
        if not self.results:
            self.ended.set()
        if isinstance(result, Exception):
            raise result
        return result


def perform(*results, every_s=0.001):
    work = Work(*results)
    task = PeriodicTask(work, name="gatherer", every_s=every_s, ended=work.ended)
    task.start()
    task.join(timeout=10)
    assert not task.is_alive()
    return work


def test_it_is_done_again_and_again():
    assert perform(False, False, False).calls == 3


def test_what_waits_is_done_at_once():
    assert perform(True, True, False, every_s=1000).calls == 3


def test_a_failure_is_logged_in_one_line_and_retried(caplog):
    caplog.set_level(logging.INFO, logger="orchestrator.serving")
    error = TrackingError("MLflow at 'http://x': refused")
    work = perform(error, ValueError("two\nlines"), False, False)
    assert work.calls == 4
    failed, failed_again, recovered = caplog.records
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO"]
    assert str(error) in failed.getMessage()
    assert "ValueError: two lines" in failed_again.getMessage()
    assert all(record.getMessage().startswith("gatherer: ") for record in (failed, failed_again, recovered))


def is_logged(once, text):
    return once.filter(logging.LogRecord("iwm", logging.INFO, "", 0, "%s", (text,), None))


def test_a_line_is_logged_once_in_a_while():
    once = Once(again_s=1000)
    assert [is_logged(once, text) for text in ("down", "down", "up", "down")] == [True, False, True, False]
    assert is_logged(Once(again_s=0), "down")


def test_old_lines_are_forgotten():
    once = Once(again_s=0)
    assert all(is_logged(once, str(number)) for number in range(9))
    assert len(once._logged) == 1
