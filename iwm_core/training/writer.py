"""Checkpoints written while training goes on.

    copy the state to the host       the trainer's thread; on a GPU into pinned memory, in the order of its stream
    write, fsync, rename             another thread, as `checkpoint` says; at most one is under way, the next waits
    tell `written`                   the trainer's thread again, at its next step; never before the file is durable

The copy is made at the step, so what is trained next changes nothing of it. Its memory is used again: it costs the host
one state's size, once. What the disk refuses is raised at the next step, or at the latest where training ends.
"""

import copy
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from iwm_core.data.loader import PREEMPTION
from iwm_core.errors import CheckpointError
from iwm_core.training.checkpoint import CheckpointFolder


class CheckpointWriter:
    """Writes the checkpoints of one attempt behind training's back. Use it in a `with`, which waits for the last."""

    def __init__(self, folder: CheckpointFolder, *, device: torch.device, written: Callable[[int, str], None]) -> None:
        """`written(step, sha256)` is told, in the thread that asks, of a checkpoint that is safely on disk."""
        self._folder, self._device, self._written = folder, device, written
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint", initializer=_leave_signals_to_training)
        self._under_way: tuple[int, Future[str]] | None = None
        self._copy: Any = None

    @property
    def path(self) -> Path:
        """The folder that is written to."""
        return self._folder.path

    def save(self, payload: Mapping[str, Any], *, step: int) -> None:
        """Copies the state of `step` and begins to write it, once the one before is on disk.

        Raises:
            CheckpointError: the disk did not take the one before.
        """
        self.wait()
        self._copy = copy_to_host(payload, into=self._copy)
        self._under_way = step, self._thread.submit(self._write, self._copy, step=step, copied=self._moment())

    def _moment(self) -> torch.cuda.Event | None:
        """Where the device's stream stands now; None on the CPU, where a copy is complete at once."""
        if self._device.type != "cuda":
            return None
        moment = torch.cuda.Event()
        moment.record(torch.cuda.current_stream(self._device))
        return moment

    def _write(self, payload: Mapping[str, Any], *, step: int, copied: torch.cuda.Event | None) -> str:
        if copied is not None:
            copied.synchronize()
        return self._folder.save(payload, step=step)

    def tell(self) -> None:
        """Tells of the checkpoint that became durable since the last look, if one did; does not wait.

        Raises:
            CheckpointError: the disk did not take it; those before it are untouched.
        """
        if self._under_way is not None and self._under_way[1].done():
            self.wait()

    def wait(self) -> None:
        """Waits for the checkpoint under way, if there is one, and tells of it.

        Raises:
            CheckpointError: the disk did not take it; those before it are untouched.
        """
        if self._under_way is None:
            return
        (step, writing), self._under_way = self._under_way, None
        self._written(step, writing.result())

    def __enter__(self) -> "CheckpointWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits for the last one; where training ended in an error, that one stays the error."""
        try:
            self.wait()
        except CheckpointError as refused:
            if error is None:
                raise
            error.add_note(str(refused))
        finally:
            self._thread.shutdown()


def copy_to_host(value: Any, *, into: Any = None) -> Any:
    """A copy of a payload that nothing else refers to, in the memory of `into`, an earlier copy, where that fits.

    On a GPU the copy is complete only once its current stream has come so far.
    """
    if isinstance(value, Tensor):
        return _copied(value.detach(), into=into)
    if isinstance(value, dict):
        copied = copy.copy(value)  # what state_dict() returns has attributes of its own
        known = into if isinstance(into, dict) else {}
        copied.update({key: copy_to_host(inner, into=known.get(key)) for key, inner in value.items()})
        return copied
    if isinstance(value, list):
        known = into if isinstance(into, list) and len(into) == len(value) else [None] * len(value)
        return [copy_to_host(inner, into=earlier) for inner, earlier in zip(value, known, strict=True)]
    return value


def _copied(tensor: Tensor, *, into: Any) -> Tensor:
    fits = isinstance(into, Tensor) and (into.shape, into.dtype) == (tensor.shape, tensor.dtype)
    host = into if fits else torch.empty_like(tensor, device="cpu", pin_memory=tensor.is_cuda)
    return host.copy_(tensor, non_blocking=True)


def _leave_signals_to_training() -> None:
    """The trainer's thread alone is woken by a request to stop."""
    signal.pthread_sigmask(signal.SIG_BLOCK, PREEMPTION)
