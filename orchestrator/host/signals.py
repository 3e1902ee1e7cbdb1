"""A request to stop, as a flag: the handler only stores the name of the first signal."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT, signal.SIGHUP)


class StopFlag:
    """The first stop signal that the process received, if any."""

    def __init__(self) -> None:
        self.signal: str | None = None

    def __call__(self) -> str | None:
        """The name of the first signal; None if there was none."""
        return self.signal

    def raise_flag(self, number: int, frame: FrameType | None = None) -> None:
        """The handler. A SIGINT after another signal interrupts at once, for a user who presses Ctrl-C again."""
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = self.signal or signal.Signals(number).name


@contextlib.contextmanager
def stop_flag() -> Iterator[StopFlag]:
    """Turn SIGTERM, SIGUSR2, SIGINT and SIGHUP into a flag during a block.

    A SIGHUP that is ignored (nohup) stays ignored.
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
