"""Checkpoints written while training continues.

    copy the state to the host       the trainer's thread; on a GPU into pinned memory, in the order of its stream
    write, fsync, rename             another thread, as in `checkpoint`; one at a time, the next waits
    call `written`                   the trainer's thread, at its next step; never before the file is durable

The copy is made at its step, so further training does not change it. Its memory is reused, so it costs the host the
size of one state. A write error is raised at the next step, or at the latest when training ends.
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
    """Writes the checkpoints of one attempt in the background. A context manager that waits for the last one."""

    def __init__(self, folder: CheckpointFolder, *, device: torch.device, written: Callable[[int, str], None]) -> None:
        """`written(step, sha256)` is called in the trainer's thread once a checkpoint is durable."""
        self._folder, self._device, self._written = folder, device, written
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint", initializer=_leave_signals_to_training)
        self._under_way: tuple[int, Future[str]] | None = None
        self._copy: Any = None

    @property
    def path(self) -> Path:
        """The checkpoint folder."""
        return self._folder.path

    def save(self, payload: Mapping[str, Any], *, step: int) -> None:
        """Wait for the previous checkpoint, copy the state of `step` and start to write it.

        Raises:
            CheckpointError: the previous checkpoint could not be written.
        """
        self.wait()
        self._copy = copy_to_host(payload, into=self._copy)
        self._under_way = step, self._thread.submit(self._write, self._copy, step=step, copied=self._moment())

    def _moment(self) -> torch.cuda.Event | None:
        """Record an event in the device's stream; None on the CPU, where copies are synchronous."""
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
        """Call `written` if a checkpoint has become durable since the last call; does not wait.

        Raises:
            CheckpointError: it could not be written; earlier checkpoints are untouched.
        """
        if self._under_way is not None and self._under_way[1].done():
            self.wait()

    def wait(self) -> None:
        """Wait for the checkpoint being written, if any, and call `written`.

        Raises:
            CheckpointError: it could not be written; earlier checkpoints are untouched.
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
        """Wait for the last checkpoint. An error of training takes precedence over a write error."""
        try:
            self.wait()
        except CheckpointError as refused:
            if error is None:
                raise
            error.add_note(str(refused))
        finally:
            self._thread.shutdown()


def copy_to_host(value: Any, *, into: Any = None) -> Any:
    """Return an independent copy of a payload, in the memory of the earlier copy `into` where shapes match.

    From a GPU the copy is complete once the current stream has reached this point.
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
    """Block preemption signals in this thread, so that only the trainer's thread gets them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, PREEMPTION)
