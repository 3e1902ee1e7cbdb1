r"""Ranks: one process per device, each with its rows of every global batch.

    rank r of R has rows r B/R ... (r + 1) B/R - 1          of the batch of B samples that a single rank would have
    g = 1/R sum_r g_r                                       equal parts: the gradient of the mean over the batch

Symbols: g_r the gradient of the mean over the rows of rank r. What a sample is (its image, crop, views, mask) is a
function of (seed, step, sample), so the number of ranks changes nothing but the order of floating-point sums.

Tensors use NCCL on CUDA and gloo on the CPU. Messages between hosts use a CPU store (`store`, hosted by the first rank
or torchrun's agent), so no rank waits for a device to get a message. The first rank leads: only it reads and writes the
trial's folder. It calls the others once it has the lease, and dismisses them when it is done.

A rank that dies closes its connections, which ends the others at once on the CPU; on CUDA, NCCL's watchdog ends them
after `TIMEOUT`. The longest that a rank waits for another in one step is `TIMEOUT`, checkpoints and online evaluation
of the first rank included; for the end of the last evaluation the others wait as long as the first rank lives.

All ranks stop after the same step, with one checkpoint (`Agreement`). Any rank may receive a signal at any moment.
After steps `EVERY`, 2 `EVERY`, ... and after the last one each rank publishes the signal that it received, and all
follow the first one. This uses the CPU store: hosts wait for hosts, which run ahead of their devices, and never for a
device. A single rank stops after the step at which it receives the signal.

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
"""How long a rank waits for another one."""
FAREWELL = timedelta(seconds=60)
"""How long the first rank, which hosts the store, waits for the others to read that they are dismissed."""
EVERY = 5
"""Number of steps between two agreements on whether to stop."""
BUFFERS = "forward_sync_buffers"
if BUFFERS not in inspect.signature(DistributedDataParallel).parameters:  # torch before 2.15
    BUFFERS = "broadcast_buffers"
CALLED, DISMISSED, FAILED = "called", "dismissed", "failed"

log = logging.getLogger(__name__)


class RankError(CoreError):
    """Another rank failed or did not connect."""


@dataclass(frozen=True, kw_only=True)
class World:
    """This process among the ranks; they communicate through `store`, which is None for a single rank."""

    rank: int = 0
    ranks: int = 1
    local_rank: int = 0
    store: Store | None = None

    @property
    def leads(self) -> bool:
        """True on the rank that reads and writes the trial's folder."""
        return self.rank == 0

    def rows(self, batch: int) -> slice:
        """The rows of a global batch that are this rank's."""
        share = batch // self.ranks
        return slice(self.rank * share, (self.rank + 1) * share)

    def start(self, device: torch.device) -> None:
        """Connect all ranks; afterwards they can exchange tensors on `device` and on the CPU.

        Raises:
            RankError: not all ranks connected.
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
        """Wrap the networks so that `backward` averages gradients over ranks; returns them unchanged for one rank."""
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
        """Return the non-empty word of the lowest rank (empty: no rank has one), the same on every rank; CPU only.

        Raises:
            RankError: a rank did not publish its word in time.
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
        """Return and delete the word under a key; otherwise a long run would fill the store."""
        assert self.store is not None
        word = self.store.get(key).decode()
        self.store.delete_key(key)
        return word

    def share(self, payload: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return the first rank's nested dicts and lists of CPU tensors and plain values on every rank."""
        if self.ranks == 1:
            return payload
        outline = [_outline(payload) if self.leads else None]
        distributed.broadcast_object_list(outline, src=0, device=torch.device("cpu"))
        filled = _filled(outline[0], payload if self.leads else None)
        return payload if self.leads else filled

    def is_called(self) -> bool:
        """Wait for the first rank: True if it calls the others, False if it dismisses them or is gone."""
        assert self.store is not None
        with contextlib.suppress(DistError):
            while not self.is_over():
                with contextlib.suppress(DistStoreError):
                    return self.store.get(CALLED) == b"train"
        return False

    def wait_for_the_end(self) -> None:
        """Wait until the first rank dismisses the others or is gone."""
        assert self.store is not None
        with contextlib.suppress(DistError):
            while not self.is_over():
                with contextlib.suppress(DistStoreError):
                    self.store.wait([DISMISSED], TIMEOUT)

    def is_over(self) -> bool:
        """Return True if the first rank has dismissed the others or is gone."""
        assert self.store is not None
        try:
            return self.store.check([DISMISSED])
        except DistError:
            return True

    @contextlib.contextmanager
    def explaining(self) -> Iterator[None]:
        """Report the error of another rank if that broke the connection.

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
"""A single rank with the whole batch."""


class Agreement:
    """Remembers a signal of this rank until the next agreement."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._heard = ""

    def stop(self, heard: str | None, *, step: int, last: bool) -> str | None:
        """Return the signal that stops all ranks after `step`, or None; `heard` is the signal of this rank.

        Raises:
            RankError: a rank did not reach this step in time.
        """
        if self._world.ranks == 1:
            return heard
        self._heard = self._heard or heard or ""
        if step % EVERY and not last:
            return None
        return self._world.first_word(self._heard, about=f"stop after step {step}?") or None


@contextlib.contextmanager
def joined(place: Place) -> Iterator[World]:
    """Join the ranks for the block. At its end, also by an error, the first rank dismisses the others.

    Raises:
        RankError: the first rank cannot be reached.
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
            world.store.compare_set(FAILED, "", said)  # the first error is the cause
            _dismiss(world, waiting=not world.store.check([CALLED]))  # some ranks may not have connected yet
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
            f"rank {place.rank} of {place.ranks} cannot reach the first rank at {place.host}:{place.port}: {error}"
        ) from error
    return PrefixStore(f"iwm/{place.round}", store)


def _dismiss(world: World, *, waiting: bool) -> None:
    assert world.store is not None
    if not world.leads:
        world.store.set(f"left/{world.rank}", "")
        return
    world.store.compare_set(CALLED, "", "nobody")  # if they were not called before
    world.store.set(DISMISSED, "")
    if waiting:
        world.store.wait([f"left/{rank}" for rank in range(1, world.ranks)], FAREWELL)


def _outline(value: Any) -> Any:
    """Replace tensors by `meta` tensors, which have no content."""
    if isinstance(value, Tensor):
        return value.to("meta")
    if isinstance(value, dict):
        return {key: _outline(inner) for key, inner in value.items()}
    return [_outline(inner) for inner in value] if isinstance(value, list) else value


def _filled(outline: Any, value: Any) -> Any:
    """Broadcast the first rank's `value` tensor by tensor into the outline."""
    if isinstance(outline, Tensor):
        tensor = torch.empty_like(outline, device="cpu") if value is None else value.contiguous()
        distributed.broadcast(tensor, src=0)
        return tensor
    if isinstance(outline, dict):
        return {key: _filled(inner, value and value[key]) for key, inner in outline.items()}
    if isinstance(outline, list):
        return [_filled(inner, value and value[at]) for at, inner in enumerate(outline)]
    return outline
