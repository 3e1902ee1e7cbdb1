"""Batches by step: images and crops, as uint8.

    position g = step B + b      epoch e = g // n      image = permutation_e[g mod n]

Symbols: b the sample's place in the global batch of B, n the images of the set. A batch is a function of (seed, step),
so there is no iterator state to save, and the number of worker processes changes only the speed. With several ranks
each loads its rows of the global batch.

Worker processes come from multiprocessing's fork server, which is single-threaded: forking the trainer itself, with its
threads and its device, can deadlock. They start with preemption signals blocked, so that a scheduler that signals every
process of a job stops only the trainer, which then closes its stream.

Shapes: B images of a batch, C = 3 channels, H and W pixels.
"""

import atexit
import os
import signal
import weakref
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context, parent_process, resource_tracker
from threading import Thread
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from iwm_core.config import TrialConfig
from iwm_core.data.crops import draw_crops
from iwm_core.data.datasets import ImageDataset
from iwm_core.errors import CoreError
from iwm_core.randomness import generator

PREEMPTION = {signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}


@dataclass(frozen=True)
class Batch:
    """The crops of one step (0: the first update) and the images they were cut from."""

    step: int
    image_BCHW: Tensor  # uint8
    index_B: np.ndarray


def indices(config: TrialConfig, dataset_len: int, step: int) -> np.ndarray:
    """Return int64 [B], the images of `step`; every epoch has its own permutation."""
    g_B = step * config.train.batch_size + np.arange(config.train.batch_size)
    epoch_B, place_B = np.divmod(g_B, dataset_len)
    index_B = np.empty_like(g_B)
    for epoch in np.unique(epoch_B):
        mine = epoch_B == epoch
        index_B[mine] = _permutation(config.seed, dataset_len, int(epoch))[place_B[mine]]
    return index_B


def batch_at(dataset: ImageDataset, config: TrialConfig, step: int, *, rows: slice = slice(None)) -> Batch:
    """Return the batch of `step`, or some rows of it."""
    index_B = indices(config, len(dataset), step)[rows]
    crops = draw_crops(config.data, seed=config.seed, step=step, batch=config.train.batch_size).rows(rows)
    return Batch(step, dataset.crops(index_B, crops, config.data.image_size), index_B)


def batches(
    dataset: ImageDataset, config: TrialConfig, *, start: int, workers: int, rows: slice = slice(None)
) -> Generator[Batch, None, None]:
    """Yield the batches (or some rows of them) of steps `start` to `train.steps` - 1, in order.

    Closing the generator ends its worker processes.
    """
    steps = range(start, config.train.steps)
    if workers == 0 or not steps:
        return (batch_at(dataset, config, step, rows=rows) for step in steps)
    stream = _from_workers(_Steps(dataset, config, rows), steps, workers)
    atexit.register(_close, weakref.ref(stream))  # before multiprocessing's own exit, which would wait for the workers
    return stream


class _Steps(torch.utils.data.Dataset[Batch | CoreError]):
    """The batches as a data set indexed by step; returns our own errors, which the trainer raises."""

    def __init__(self, dataset: ImageDataset, config: TrialConfig, rows: slice) -> None:
        self.dataset, self.config, self.rows = dataset, config, rows

    def __getitem__(self, step: int) -> Batch | CoreError:
        try:
            return batch_at(self.dataset, self.config, step, rows=self.rows)
        except CoreError as error:
            return error


def _from_workers(batches_by_step: _Steps, steps: range, workers: int) -> Generator[Batch, None, None]:
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    loader = DataLoader(
        batches_by_step,
        batch_size=None,
        sampler=steps,
        num_workers=min(workers, len(steps)),
        collate_fn=_unchanged,
        generator=torch.Generator(),  # its own: the loader would draw from the global one
        worker_init_fn=_end_with_trainer,
        multiprocessing_context=context,
    )
    with _preemption_blocked():
        stream = iter(loader)
    try:
        for batch in stream:
            if isinstance(batch, CoreError):
                raise batch
            yield batch
    finally:
        # as its __del__ does, which is not called while a traceback holds the stream
        stream._shutdown_workers()  # pyright: ignore[reportAttributeAccessIssue]


def _end_with_trainer(worker: int) -> None:
    """End this process with the trainer. The fork server, which torch watches, lives as long as its workers."""
    trainer = parent_process()
    assert trainer is not None
    Thread(target=lambda: (trainer.join(), os._exit(1)), daemon=True).start()


@contextmanager
def _preemption_blocked() -> Iterator[None]:
    """Block preemption signals: processes started inside inherit it; this process gets them afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, PREEMPTION)
    try:
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, PREEMPTION)  # the tracker's start clears part of it
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@lru_cache(maxsize=4)
def _permutation(seed: int, length: int, epoch: int) -> np.ndarray:
    return generator(seed, "order", step=epoch).permutation(length)


def _unchanged(item: Any) -> Any:
    return item


def _close(stream: "weakref.ref[Generator[Batch, None, None]]") -> None:
    if (alive := stream()) is not None:
        alive.close()
