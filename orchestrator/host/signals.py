"""A request to stop, as a flag: a handler does nothing but remember the first signal's name."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT, signal.SIGHUP)


class StopFlag:
    """Says whether, and by which signal, the process was asked to stop."""

    def __init__(self) -> None:
        self.signal: str | None = None

    def __call__(self) -> str | None:
        """The name of the first signal, or None."""
        return self.signal

    def raise_flag(self, number: int, frame: FrameType | None = None) -> None:
        """The handler. A second SIGINT interrupts at once: somebody is at the keyboard and in a hurry."""
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = self.signal or signal.Signals(number).name


@contextlib.contextmanager
def stop_flag() -> Iterator[StopFlag]:
    """Turns SIGTERM, SIGUSR2, SIGINT and SIGHUP into a flag for the length of a block.

    A SIGHUP that is ignored (nohup) stays so: whoever did that wants us to outlive the terminal.
    """
    flag = StopFlag()
    outlives = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    numbers = [number for number in STOP_SIGNALS if not (outlives and number == signal.SIGHUP)]
    before = {number: signal.signal(number, flag.raise_flag) for number in numbers}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
