"""The ranks of one trial: the first runs the attempt, the others do its steps beside it and leave when it does.

Everything that is told or written is the first rank's: the right to run, journal, checkpoints, evaluation, requeueing.
The others read what the trial is, wait to be called, and hear signals, which they pass on (`Agreement` of `iwm_core`).
Where the first rank has nothing to train (the trial is finished, or is an evaluation) they are never called.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from iwm_core.config import RuntimeConfig, TrialConfig
from iwm_core.training.place import Place
from orchestrator.records import journal
from orchestrator.records.layout import TrialFolder
from orchestrator.trial.events import Claimed
from orchestrator.trial.sweep import Resources
from orchestrator.trial.value import Trial

if TYPE_CHECKING:
    from iwm_core.training.distributed import World

log = logging.getLogger(__name__)


@contextlib.contextmanager
def leading(place: Place) -> Iterator["World | None"]:
    """What the first rank does inside is done beside the others; None where there are none, and torch is not loaded."""
    if place.ranks == 1:
        yield None
        return
    from iwm_core.training.distributed import joined

    with joined(place) as world:
        yield world


def follow(config: TrialConfig, runtime: RuntimeConfig, *, place: Place, should_stop: Callable[[], str | None]) -> str:
    """Trains beside the first rank, if that calls, and waits for its end; how it went.

    Raises:
        CoreError, RuntimeError: what went wrong here, while the first rank is at work.
    """
    from iwm_core import pretrain
    from iwm_core.training.distributed import joined

    with joined(place) as world:
        if not world.is_called():
            return "left: the first rank trains nothing"
        try:
            pretrain.follow(config, runtime, should_stop=should_stop, world=world)
        except (RuntimeError, ValueError) as error:
            if not world.is_over():
                raise
            log.info("the first rank has ended: %s", error)
        world.wait_for_the_end()
    return "followed"


def follow_claim(folder: TrialFolder, *, token: str, place: Place, should_stop: Callable[[], str | None]) -> str:
    """`follow` for the trial in `folder`, with the resources of the claim of this token."""
    claims = [event for event in journal.read_control(folder) if isinstance(event, Claimed) and event.token == token]
    if not claims:
        return "left: nobody claimed this trial for us"
    config = Trial.from_json(folder.value_file.read_bytes()).config
    return follow(config, Resources.of(claims[-1].resources), place=place, should_stop=should_stop)
