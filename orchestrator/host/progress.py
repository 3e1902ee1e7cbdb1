"""Progress bars on standard error, for loops that take longer than a second.

Loops over many items use `track`, which draws nothing by default. The command line turns bars on with `shown`: on a
terminal, not with --json, and not around code that draws itself.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator, Sized
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")
PATIENCE_S = 1.0


@dataclass(frozen=True)
class Viewer:
    """Where bars are drawn, and after how many seconds."""

    console: "Console"
    patience_s: float


_viewer: ContextVar[Viewer | None] = ContextVar("viewer", default=None)


@contextlib.contextmanager
def shown(*, json: bool = False, console: "Console | None" = None, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Show bars inside the block, on a terminal and without `json`."""
    from rich.console import Console

    on = console or Console(stderr=True, highlight=False)
    token = _viewer.set(Viewer(on, patience_s) if on.is_terminal and not json else None)
    try:
        yield
    finally:
        _viewer.reset(token)


def track(items: Iterable[T], what: str, *, total: int | None = None) -> Iterator[T]:
    """Yield the items, with a progress bar inside `shown`. Of nested loops only the outer one has a bar."""
    viewer, began = _viewer.get(), time.monotonic()
    if viewer is None:
        yield from items
        return
    known = total if total is not None else len(items) if isinstance(items, Sized) else None
    _viewer.set(None)
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=viewer.console, transient=True)
    task = bar.add_task(what, total=known)
    try:
        for item in items:
            yield item
            bar.advance(task)
            if not bar.live.is_started and time.monotonic() - began > viewer.patience_s:
                bar.start()
    finally:
        bar.stop()
        _viewer.set(viewer)


@contextlib.contextmanager
def during(what: str) -> Iterator[None]:
    """Show a spinner during work of unknown length."""
    viewer = _viewer.get()
    with viewer.console.status(what) if viewer else contextlib.nullcontext():
        yield
