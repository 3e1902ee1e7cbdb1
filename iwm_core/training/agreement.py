"""Whether all ranks stop, and after which step: agreed on the host, at fixed intervals of steps.

Any rank may hear a signal, at any moment. Each says what it has heard when step `EVERY`, 2 `EVERY`, ... or the last one
is done, and all of them do what the first rank makes of it; so they stop after the same step, with one checkpoint. The
words go through the CPU store: the host waits for the other hosts, which run ahead of their devices, and no device for
anything. One rank alone stops after the step at which it hears.
"""

from iwm_core.training.distributed import World

EVERY = 5
"""Steps between two questions."""


class Agreement:
    """Remembers what this rank has heard until all are asked."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._heard = ""

    def stop(self, heard: str | None, *, step: int, last: bool) -> str | None:
        """The signal that stops all ranks after `step`, or None; `heard` is what this one was told.

        Raises:
            RankError: a rank did not come to this step.
        """
        if self._world.ranks == 1:
            return heard
        self._heard = self._heard or heard or ""
        if step % EVERY and not last:
            return None
        return self._world.first_word(self._heard, about=f"stop after step {step}?") or None
