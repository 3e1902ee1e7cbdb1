"""What a person should look at while a run is under way: a sentence for each, said once, that ends with what to try.

    collapse    pooled targets no longer differ between images (`evaluation.health`)      metric collapse_alarm
    starving    training waits for data a large share of the time, several log lines on   metric starving_alarm

A metric is 1 as long as its alarm holds. The third alarm, a loss that is not finite, ends the run (`guard`).
"""

import logging
from collections.abc import Mapping

from iwm_core.evaluation.health import COLLAPSE_STD, alarm_sentence

STARVING_SHARE = 0.3
"""Of the time between two log lines. [OURS]"""
STARVING_READINGS = 3
"""In a row: the first batches of a run, or of a new epoch, may take longer."""

log = logging.getLogger(__name__)


class Alarms:
    """Looks at every log line."""

    def __init__(self, *, loader_workers: int = 0) -> None:
        self._workers = loader_workers
        self._starved = 0
        self._said: set[str] = set()

    def heed(self, metrics: Mapping[str, float], *, step: int) -> dict[str, float]:
        """The alarms' metrics."""
        collapsed, starving = metrics["target_std"] < COLLAPSE_STD, self._is_starving(metrics["data_wait_share"])
        if collapsed:
            self._say("collapse", alarm_sentence(metrics["target_std"]), step=step)
        if starving:
            self._say("starving", starving_sentence(metrics["data_wait_share"], workers=self._workers), step=step)
        return {"collapse_alarm": float(collapsed), "starving_alarm": float(starving)}

    def _is_starving(self, share: float) -> bool:
        self._starved = self._starved + 1 if share > STARVING_SHARE else 0
        return self._starved >= STARVING_READINGS

    def _say(self, name: str, sentence: str, *, step: int) -> None:
        if name not in self._said:
            self._said.add(name)
            log.warning("step %d: %s", step, sentence)


def starving_sentence(share: float, *, workers: int) -> str:
    """What to tell a person whose training waits for data, and what to try."""
    return (
        f"the loader starves training: {share:.0%} of the time goes by waiting for data ({STARVING_READINGS} log lines "
        f"in a row above {STARVING_SHARE:.0%}); try resources.loader_workers={max(2, 2 * workers)} (it is {workers}), "
        "as many CPUs for the job (resources.cpus_per_gpu), or images that are stored smaller"
    )
