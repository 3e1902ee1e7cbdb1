"""The lines that `iwm serve` writes for a person: with the time, and the same one not again and again."""

import logging
import sys
import time

AGAIN_S = 600.0
KEPT = 200


class Once(logging.Filter):
    """Lets a line pass that was not said in the last `again_s` seconds."""

    def __init__(self, *, again_s: float = AGAIN_S) -> None:
        super().__init__()
        self._again_s = again_s
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is said."""
        text, now = record.getMessage(), time.monotonic()
        if now - self._said.get(text, -float("inf")) < self._again_s:
            return False
        self._said.pop(text, None)
        self._said[text] = now
        if len(self._said) > KEPT:
            del self._said[next(iter(self._said))]
        return True


def speak() -> None:
    """Sends our own lines, and other programs' warnings, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S"))
    handler.addFilter(Once())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("orchestrator").setLevel(logging.INFO)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.ERROR)  # every try at a database; we say it once
