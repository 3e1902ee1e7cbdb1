"""How far something long is: a bar on standard error, once it has taken a second.

Whoever works through many things says so with `track`, and draws nothing; whether anybody looks is decided at the door
(`shown`): the command line does on a terminal, not under --json, and not around what draws itself.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator, Sized
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

T = TypeVar("T")
PATIENCE_S = 1.0


@dataclass(frozen=True)
class Viewer:
    """Who looks, and after how long a bar is drawn."""

    console: "Console"
    patience_s: float


_viewer: ContextVar[Viewer | None] = ContextVar("viewer", default=None)


@contextlib.contextmanager
def shown(*, json: bool = False, console: "Console | None" = None, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Lets bars be seen inside, on a terminal that nobody reads JSON beside."""
    from rich.console import Console

    on = console or Console(stderr=True, highlight=False)
    token = _viewer.set(Viewer(on, patience_s) if on.is_terminal and not json else None)
    try:
        yield
    finally:
        _viewer.reset(token)


def track(items: Iterable[T], what: str, *, total: int | None = None) -> Iterator[T]:
    """The items, with a bar about them where that takes long and somebody looks. One bar at a time, the outer one."""
    viewer, began = _viewer.get(), time.monotonic()
    if viewer is None:
        yield from items
        return
    known = total if total is not None else len(items) if isinstance(items, Sized) else None
    _viewer.set(None)
    bar = _bar(viewer.console)
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


def _bar(console: "Console") -> "Progress":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


@contextlib.contextmanager
def during(what: str) -> Iterator[None]:
    """A sign of life about something that cannot say how far it is."""
    viewer = _viewer.get()
    with viewer.console.status(what) if viewer else contextlib.nullcontext():
        yield
