"""Advisory file locks, which the kernel releases when the process that holds them ends.

They tell whether a worker of a trial is alive on this host and which slots are taken, without pids, which are reused.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

PROBE_S = 2.0
"""How long to retry: `is_held` holds the lock for some microseconds."""


class Lock:
    """An exclusive lock on a file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        os.register_at_fork(after_in_child=self.close)  # a forked data loader must not keep the lock

    def take(self, *, wait_s: float = PROBE_S) -> bool:
        """Acquire the lock; returns False if another process held it for `wait_s` seconds."""
        deadline = time.monotonic() + wait_s
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)

    def close(self) -> None:
        """Release the lock."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


@contextlib.contextmanager
def holding(path: Path, *, wait_s: float = PROBE_S) -> Iterator[bool]:
    """Hold the lock for a block; yields False if it could not be acquired."""
    lock = Lock(path)
    try:
        yield lock.take(wait_s=wait_s)
    finally:
        lock.close()


def is_held(path: Path) -> bool:
    """Return True if a process on this host holds the lock."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
