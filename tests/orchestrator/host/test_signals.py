"""A signal is a flag."""

import os
import signal

import pytest

from orchestrator.host.signals import STOP_SIGNALS, stop_flag


@pytest.fixture
def hangup_is_heard():
    """Also where the tests themselves run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_the_first_signal_is_remembered_and_handlers_come_back(number, hangup_is_heard):
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


def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_flag() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop() is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
