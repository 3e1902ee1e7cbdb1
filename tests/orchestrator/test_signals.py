"""A signal is a flag."""

import os
import signal

import pytest

from orchestrator.signals import STOP_SIGNALS, stop_flag


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_the_first_signal_is_remembered_and_handlers_come_back(number):
    before = [signal.getsignal(each) for each in STOP_SIGNALS]
    with stop_flag() as stop:
        assert stop() is None
        os.kill(os.getpid(), number)
        assert stop() == number.name
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop() == number.name
    assert [signal.getsignal(each) for each in STOP_SIGNALS] == before


def test_a_second_ctrl_c_interrupts_at_once():
    def press_twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with stop_flag(), pytest.raises(KeyboardInterrupt):
        press_twice()
