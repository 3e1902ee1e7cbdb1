"""A duty goes on, whatever happens in it."""

import logging
import threading

from orchestrator.errors import TrackingError
from orchestrator.serving.periodic import PeriodicTask


class Work:
    """Fails as told, then ends."""

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
    duty = PeriodicTask(work, name="gatherer", every_s=every_s, ended=work.ended)
    duty.start()
    duty.join(timeout=10)
    assert not duty.is_alive()
    return work


def test_it_is_done_again_and_again():
    assert perform(False, False, False).calls == 3


def test_what_waits_is_done_at_once():
    assert perform(True, True, False, every_s=1000).calls == 3


def test_a_failure_is_said_in_one_line_and_tried_again(caplog):
    caplog.set_level(logging.INFO, logger="orchestrator.serving")
    work = perform(TrackingError("MLflow at 'http://x': refused"), ValueError("two\nlines"), False, False)
    assert work.calls == 4
    assert [record.getMessage() for record in caplog.records] == [
        "gatherer: MLflow at 'http://x': refused; tried again and again, nothing is lost",
        "gatherer: ValueError: two lines; tried again and again, nothing is lost",
        "gatherer: works again",
    ]
