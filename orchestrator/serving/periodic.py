"""Tasks that repeat, each in a thread of its own, and the log lines of `iwm serve`.

A task that fails logs one line and is retried.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable

from orchestrator.errors import IwmError

log = logging.getLogger(__name__)

REST = 3.0
"""A pause lasts at least this many times as long as the pass before it: at most a quarter of a core on a large root."""
AFTER_FAILURE = 5.0
"""The factor by which the pause after a failure is longer."""
AGAIN_S = 600.0


class PeriodicTask(threading.Thread):
    """Calls `act` every `every_s` seconds until `ended` is set, and at once after it returns True (more is waiting)."""

    def __init__(
        self,
        act: Callable[[], bool | None],
        *,
        name: str,
        every_s: float,
        ended: threading.Event,
        rest: float = REST,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._act, self._every_s, self._ended, self._rest = act, every_s, ended, rest
        self._failing = False

    def run(self) -> None:
        """Repeat until ended; no failure ends it."""
        while not self._ended.is_set():
            began = time.monotonic()
            pause_s = self._once()
            if pause_s:
                self._ended.wait(max(pause_s, self._rest * (time.monotonic() - began)))

    def _once(self) -> float:
        """One pass; returns the pause in seconds."""
        try:
            more = self._act()
        except Exception as error:  # a day's metrics are worth more than this pass
            self._failing = True
            message = str(error) if isinstance(error, IwmError) else f"{type(error).__name__}: {error}"
            log.warning("%s: %s; retrying, no data is lost", self.name, " ".join(message.split()))
            log.debug("%s", self.name, exc_info=error)
            return self._every_s * AFTER_FAILURE
        if self._failing:
            log.info("%s: works again", self.name)
        self._failing = False
        return 0.0 if more else self._every_s


class Once(logging.Filter):
    """Drops a line that was logged in the last `again_s` seconds."""

    def __init__(self, *, again_s: float = AGAIN_S) -> None:
        super().__init__()
        self._again_s = again_s
        self._logged: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True if the line is to be logged."""
        text, now = record.getMessage(), time.monotonic()
        self._logged = {line: at for line, at in self._logged.items() if now - at < self._again_s}
        if text in self._logged:
            return False
        self._logged[text] = now
        return True


def configure_logging() -> None:
    """Send our lines and the warnings of libraries to standard error, with the time."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S"))
    handler.addFilter(Once())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("orchestrator").setLevel(logging.INFO)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.ERROR)  # it warns of every failed connection
