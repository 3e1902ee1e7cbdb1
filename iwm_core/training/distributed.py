r"""Ranks: one process a device, each with its rows of every global batch.

    rank r of R has rows r B/R ... (r + 1) B/R - 1          of the batch of B samples that one rank would have had
    g = 1/R sum_r g_r                                       equal parts: the gradient of the mean over the batch

Symbols: g_r the gradient of the mean over the rows of rank r. What a sample is (its image, crop, views, mask) is a
function of (seed, step, sample), so the number of ranks changes nothing but the order of floating-point sums.

Tensors go through NCCL on CUDA and gloo on the CPU. Everything that the host has to know travels through the CPU
(`store`, at the first rank or torchrun's agent), so no rank waits for a device to learn what another wants. The first
rank leads: it alone reads and writes the trial's folder. It calls the others when it has the right to run, and
dismisses them when it is done.

A rank that dies closes its connections, which ends the others at once on the CPU; on CUDA, NCCL's watchdog ends them
after `TIMEOUT`. The longest that a rank waits for another in one step is `TIMEOUT`, checkpoints and online evaluation
of the first rank included; for the end of the last evaluation the others wait as long as the first rank lives.

All ranks stop after the same step, with one checkpoint (`Agreement`). Any rank may hear a signal, at any moment. Each
says what it has heard when step `EVERY`, 2 `EVERY`, ... or the last one is done, and all of them do what the first rank
makes of it. The words go through the CPU store: the host waits for the other hosts, which run ahead of their devices,
and no device for anything. One rank alone stops after the step at which it hears.

Shapes: B batch, b rows of one rank, D width.
"""

import contextlib
import inspect
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed import (
    DistError,
    DistStoreError,
    PrefixStore,  # pyright: ignore[reportPrivateImportUsage]
    Store,  # pyright: ignore[reportPrivateImportUsage]
    TCPStore,  # pyright: ignore[reportPrivateImportUsage]
)
from torch.nn.parallel import DistributedDataParallel

from iwm_core.errors import CoreError
from iwm_core.training.place import Place

TIMEOUT = timedelta(minutes=10)
"""For which a rank waits for another one."""
FAREWELL = timedelta(seconds=60)
"""For which the first rank, which holds the store, waits for the others to have read that they may go."""
EVERY = 5
"""Steps between two questions whether to stop."""
BUFFERS = "forward_sync_buffers"
if BUFFERS not in inspect.signature(DistributedDataParallel).parameters:  # torch before 2.15
    BUFFERS = "broadcast_buffers"
CALLED, DISMISSED, FAILED = "called", "dismissed", "failed"

log = logging.getLogger(__name__)


class RankError(CoreError):
    """Another rank ended in an error, or did not come."""


@dataclass(frozen=True, kw_only=True)
class World:
    """This process among the ranks; `store` is where they talk, None where there is one rank alone."""

    rank: int = 0
    ranks: int = 1
    local_rank: int = 0
    store: Store | None = None

    @property
    def leads(self) -> bool:
        """Whether this is the rank that reads and writes the trial's folder."""
        return self.rank == 0

    def rows(self, batch: int) -> slice:
        """The rows of a global batch that are this rank's."""
        share = batch // self.ranks
        return slice(self.rank * share, (self.rank + 1) * share)

    def start(self, device: torch.device) -> None:
        """Calls all ranks together; from here on tensors of `device` and of the CPU can be exchanged.

        Raises:
            RankError: not all of them came.
        """
        if self.store is None:
            return
        if self.leads:
            self.store.set(CALLED, "train")
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        try:
            distributed.init_process_group(
                backend, store=PrefixStore("group", self.store), rank=self.rank, world_size=self.ranks, timeout=TIMEOUT
            )
        except DistStoreError as error:
            raise RankError(f"not all of the {self.ranks} ranks connected within {TIMEOUT}: {error}") from error

    def parallel(self, networks: nn.Module) -> nn.Module:
        """The networks so that `backward` leaves the mean of all ranks' gradients; as they are for one rank."""
        if self.ranks == 1:
            return networks
        settings: dict[str, Any] = {"gradient_as_bucket_view": True, BUFFERS: False}
        return DistributedDataParallel(networks, **settings)

    def gather(self, x_bD: Tensor) -> Tensor:
        """The rows of all ranks in the batch's order, [B, D], without gradient."""
        if self.ranks == 1:
            return x_bD
        parts = [torch.empty_like(x_bD) for _ in range(self.ranks)]
        distributed.all_gather(parts, x_bD.detach().contiguous())
        return torch.cat(parts)

    def mean(self, x: Tensor) -> Tensor:
        """The mean over the ranks of a tensor without gradient."""
        return x if self.ranks == 1 else self._reduced(x, distributed.ReduceOp.SUM) / self.ranks

    def least(self, x: Tensor) -> Tensor:
        """The least of all ranks, element by element."""
        return x if self.ranks == 1 else self._reduced(x, distributed.ReduceOp.MIN)

    def _reduced(self, x: Tensor, operation: Any) -> Tensor:
        total = x.detach().clone()
        distributed.all_reduce(total, op=operation)
        return total

    def first_word(self, word: str, *, about: str) -> str:
        """The word of the lowest rank that said one (empty: none did), the same on every rank. Through the CPU alone.

        Raises:
            RankError: a rank did not come to say its own.
        """
        if self.store is None:
            return word
        self.store.set(f"{about}/{self.rank}", word)
        try:
            if self.leads:
                said = [self._take(f"{about}/{rank}") for rank in range(self.ranks)]
                self.store.set(about, next(filter(None, said), ""))
            return self.store.get(about).decode()
        except DistStoreError as error:
            raise RankError(f"a rank did not reach '{about}' within {TIMEOUT}") from error

    def _take(self, key: str) -> str:
        """The word under a key, which is then deleted: a long run would fill the store."""
        assert self.store is not None
        word = self.store.get(key).decode()
        self.store.delete_key(key)
        return word

    def share(self, payload: dict[str, Any] | None) -> dict[str, Any] | None:
        """The first rank's nested dicts and lists of CPU tensors and plain values, on every rank."""
        if self.ranks == 1:
            return payload
        outline = [_outline(payload) if self.leads else None]
        distributed.broadcast_object_list(outline, src=0, device=torch.device("cpu"))
        filled = _filled(outline[0], payload if self.leads else None)
        return payload if self.leads else filled

    def is_called(self) -> bool:
        """Waits for the first rank to call the others (true), to dismiss them before it began, or to be gone."""
        assert self.store is not None
        with contextlib.suppress(DistError):
            while not self.is_over():
                with contextlib.suppress(DistStoreError):
                    return self.store.get(CALLED) == b"train"
        return False

    def wait_for_the_end(self) -> None:
        """Waits until the first rank dismisses the others, or is gone."""
        assert self.store is not None
        with contextlib.suppress(DistError):
            while not self.is_over():
                with contextlib.suppress(DistStoreError):
                    self.store.wait([DISMISSED], TIMEOUT)

    def is_over(self) -> bool:
        """Whether the first rank has dismissed the others, or is gone."""
        assert self.store is not None
        try:
            return self.store.check([DISMISSED])
        except DistError:
            return True

    @contextlib.contextmanager
    def explaining(self) -> Iterator[None]:
        """Names the error of another rank, where that broke the connection.

        Raises:
            RankError: with the other rank's error.
        """
        try:
            yield
        except RuntimeError as error:
            if self.store is None or self.is_over() or not self.store.check([FAILED]):
                raise
            raise RankError(self.store.get(FAILED).decode()) from error


ALONE = World()
"""One rank, which has the whole batch."""


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


def _outline(value: Any) -> Any:
    """The same with tensors that have no content."""
    if isinstance(value, Tensor):
        return value.to("meta")
    if isinstance(value, dict):
        return {key: _outline(inner) for key, inner in value.items()}
    return [_outline(inner) for inner in value] if isinstance(value, list) else value


def _filled(outline: Any, value: Any) -> Any:
    """The first rank's `value`, tensor by tensor, in the places of the outline."""
    if isinstance(outline, Tensor):
        tensor = torch.empty_like(outline, device="cpu") if value is None else value.contiguous()
        distributed.broadcast(tensor, src=0)
        return tensor
    if isinstance(outline, dict):
        return {key: _filled(inner, value and value[key]) for key, inner in outline.items()}
    if isinstance(outline, list):
        return [_filled(inner, value and value[at]) for at, inner in enumerate(outline)]
    return outline
