"""A trial's logs, as its attempts write them: read once, or followed until the trial has ended."""

import codecs
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator import service
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.records.logs import log_files
from orchestrator.records.scan import read_status
from orchestrator.store.database import Store
from orchestrator.trial.launchers import FOREGROUND
from orchestrator.trial.lifecycle import UNDER_WAY, State, TrialStatus

FOLLOW_S = 0.5
LOOK_S = 10.0
"""How often whoever follows also looks whether the worker still lives: nobody else may."""
CHUNK = 1 << 20


def goes_on(status: TrialStatus) -> bool:
    """Whether more may come by itself. What `iwm train` left behind, only a person goes on with."""
    return status.state in UNDER_WAY and not (status.state is State.PREEMPTED and status.launcher == FOREGROUND)


def print_logs(layout: Layout, trial_id: str) -> None:
    """Every attempt's standard output and error, oldest first."""
    folder = layout.trial(trial_id)
    _print(log_text(folder), status=read_status(folder))


def follow_logs(layout: Layout, trial_id: str, store: Store) -> None:
    """The same, and what comes, across attempts, until the trial has ended or Ctrl-C."""
    folder = layout.trial(trial_id)
    with contextlib.suppress(KeyboardInterrupt):
        _print(log_text(folder, pause=_pause(layout, store)), status=read_status(folder))


def _print(texts: Iterator[str], *, status: TrialStatus) -> None:
    if not status.attempts:
        sys.stderr.write(f"{status.state.value}, no attempt has started yet\n")
    for text in texts:
        sys.stdout.write(text)
        sys.stdout.flush()


def _pause(layout: Layout, store: Store) -> Callable[[], None]:
    """Waits, and now and then looks after the trials of the root."""
    looked = time.monotonic()

    def pause() -> None:
        nonlocal looked
        time.sleep(FOLLOW_S)
        if time.monotonic() - looked > LOOK_S:
            service.observe(layout, store)
            looked = time.monotonic()

    return pause


def log_text(folder: TrialFolder, *, pause: Callable[[], None] | None = None) -> Iterator[str]:
    """New text of the trial's logs, as it comes; with `pause` between two looks until the trial has ended.

    A worker writes on for a moment after its trial has ended, so the last look is one that has found nothing new.
    """
    reader, moves = _Reader(folder), True
    while moves:
        under_way, found = goes_on(read_status(folder)), False
        for text in reader.news():
            found = True
            yield text
        moves = pause is not None and (under_way or found)
        if pause and moves:
            pause()


@dataclass
class _Reader:
    """How far each log was read. A heading says where the file changes, as `tail -f` does."""

    folder: TrialFolder
    _read_to: dict[Path, int] = field(default_factory=dict)
    _decoders: dict[Path, codecs.IncrementalDecoder] = field(default_factory=dict)
    _last: Path | None = None
    _line_end: str = ""
    """What ends the line that was printed last, where it has no end yet."""

    def news(self) -> Iterator[str]:
        for path in by_age(self.folder):
            yield from self._of(path)

    def _of(self, path: Path) -> Iterator[str]:
        decoder = self._decoders.setdefault(path, codecs.getincrementaldecoder("utf-8")(errors="replace"))
        with path.open("rb") as file:
            start = self._read_to.get(path, 0)
            file.seek(start if start <= path.stat().st_size else 0)
            while raw := file.read(CHUNK):
                if path != self._last:
                    yield f"{self._line_end}==> {path.name} <==\n"
                    self._last = path
                self._line_end = "" if raw.endswith(b"\n") else "\n"
                yield decoder.decode(raw)
            self._read_to[path] = file.tell()


def by_age(folder: TrialFolder) -> list[Path]:
    """The logs, oldest first. Links are not followed."""
    return sorted(log_files(folder), key=lambda path: (path.stat().st_mtime_ns, path.name))
