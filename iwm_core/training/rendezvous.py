"""How ranks find each other before they train, and part afterwards.

The first rank holds the store, or torchrun's agent does. However the first rank ends, it dismisses the others.
"""

import contextlib
import socket
from collections.abc import Iterator
from datetime import timedelta

from torch import distributed
from torch.distributed import (
    DistError,
    PrefixStore,  # pyright: ignore[reportPrivateImportUsage]
    Store,  # pyright: ignore[reportPrivateImportUsage]
    TCPStore,  # pyright: ignore[reportPrivateImportUsage]
)

from iwm_core.training.distributed import ALONE, CALLED, DISMISSED, FAILED, TIMEOUT, RankError, World
from iwm_core.training.place import Place

FAREWELL = timedelta(seconds=60)
"""For which the first rank, which holds the store, waits for the others to have read that they may go."""


@contextlib.contextmanager
def joined(place: Place) -> Iterator[World]:
    """The ranks until the end of the block. The first one then dismisses the others, however it ends.

    Raises:
        RankError: the first rank was not found where it should be.
    """
    if place.ranks == 1:
        yield ALONE
        return
    world = World(rank=place.rank, ranks=place.ranks, local_rank=place.local_rank, store=_meet(place))
    assert world.store is not None
    try:
        yield world
    except BaseException as error:
        with contextlib.suppress(DistError):
            said = " ".join(f"{type(error).__name__}: {error}".split())
            said = f"rank {world.rank} of {world.ranks} on {socket.gethostname()} ended: {said}"
            world.store.compare_set(FAILED, "", said)  # the first one to say it knows best
            _dismiss(world, waiting=not world.store.check([CALLED]))  # not all of them may have come yet
        raise
    with contextlib.suppress(DistError):
        _dismiss(world, waiting=True)
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _meet(place: Place) -> Store:
    try:
        holds = place.rank == 0 and not place.agent
        store = TCPStore(place.host, place.port, is_master=holds, wait_for_workers=False, timeout=TIMEOUT)
    except DistError as error:
        raise RankError(
            f"rank {place.rank} of {place.ranks} did not find the first rank at {place.host}:{place.port}: {error}"
        ) from error
    return PrefixStore(f"iwm/{place.round}", store)


def _dismiss(world: World, *, waiting: bool) -> None:
    assert world.store is not None
    if not world.leads:
        world.store.set(f"left/{world.rank}", "")
        return
    world.store.compare_set(CALLED, "", "nobody")  # where they were not called before
    world.store.set(DISMISSED, "")
    if waiting:
        world.store.wait([f"left/{rank}" for rank in range(1, world.ranks)], FAREWELL)
