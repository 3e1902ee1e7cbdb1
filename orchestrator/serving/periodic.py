"""Something done again and again in a thread of its own. What fails is said in one line and tried again."""

import logging
import threading
import time
from collections.abc import Callable

from orchestrator.errors import IwmError

log = logging.getLogger(__name__)

REST = 3.0
"""A pass rests for so many times as long as it took: on a large root at most a quarter of a core is used, unless one
asks for less."""
AFTER_FAILURE = 5.0
"""After a failure the pause is so many times as long."""


class PeriodicTask(threading.Thread):
    """Calls `act` every `every_s` seconds until `ended` is set. `act` may answer that more is waiting already."""

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
        """Until it is ended; nothing that fails ends it."""
        while not self._ended.is_set():
            began = time.monotonic()
            pause_s = self._once()
            if pause_s:
                self._ended.wait(max(pause_s, self._rest * (time.monotonic() - began)))

    def _once(self) -> float:
        """One pass; how many seconds to pause."""
        try:
            more = self._act()
        except Exception as error:  # whatever it is: a day's metrics are worth more than this pass
            self._fail(error)
            return self._every_s * AFTER_FAILURE
        if self._failing:
            log.info("%s: works again", self.name)
        self._failing = False
        return 0.0 if more else self._every_s

    def _fail(self, error: Exception) -> None:
        self._failing = True
        reason = " ".join((str(error) if isinstance(error, IwmError) else f"{type(error).__name__}: {error}").split())
        log.warning("%s: %s; tried again and again, nothing is lost", self.name, reason)
        log.debug("%s", self.name, exc_info=error)
