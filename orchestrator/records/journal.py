"""Append to and read a trial's journals and control events. They are never rewritten.

An attempt's journal has one writer, which created the file exclusively. A line is appended in one write and fsynced
before the next (about 2 ms), so no checkpoint is newer than the log of its steps. Readers ignore torn lines, and what
an older attempt wrote after a newer one had started (`Started.older_bytes`).
"""

import contextlib
import dataclasses
import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from iwm_core.events import Event, Started, from_json, to_json
from orchestrator.records.layout import ATTEMPT, CLAIM, CONTROL_EVENT, TrialFolder
from orchestrator.trial import events as control_events
from orchestrator.trial.events import Cancelled, Claimed, ControlEvent, Held, Released

Recorded = TypeVar("Recorded", Event, ControlEvent)


class Journal:
    """The writer of one attempt's journal."""

    def __init__(self, path: Path, *, attempt: int) -> None:
        """Create the file.

        Raises:
            FileExistsError: another process has this attempt number.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.attempt, self.path = attempt, path
        self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o666)

    def append(self, event: Event) -> Event:
        """Append one line; returns the event, with the time if it had none.

        Raises:
            OSError: the line cannot be written; a part of it may have been.
        """
        stamped = _stamped(event)
        line = to_json(stamped).encode() + b"\n"
        try:
            written = os.write(self._file, line)
            if written < len(line):
                os.write(self._file, b"\n")  # ends the torn line
                raise OSError(errno.ENOSPC, f"{written} of {len(line)} bytes were written")
            os.fsync(self._file)
        except OSError as error:
            raise OSError(error.errno, f"cannot write the journal: {error.strerror}", str(self.path)) from None
        return stamped

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def attempt_numbers(folder: TrialFolder) -> list[int]:
    """The attempts that have a journal, ascending."""
    return sorted(int(match[1]) for match in map(ATTEMPT.fullmatch, _names(folder.journal)) if match)


def read_journals(folder: TrialFolder, *, steps: bool = True) -> dict[int, list[Event]]:
    """Every attempt's events, without torn lines and without those after the start of a newer attempt.

    `steps=False` leaves out steps, which are most of a journal and do not affect a trial's state.
    """
    raw = {number: folder.attempt(number).read_bytes() for number in attempt_numbers(folder)}
    journals: dict[int, list[Event]] = {}
    limits: dict[int, int] = {}
    for number in sorted(raw, reverse=True):
        lines = raw[number][: limits.get(number)]
        journals[number] = list(parse(lines, steps=steps))
        for event in journals[number][:1]:
            if isinstance(event, Started):
                for older, size in event.older_bytes.items():
                    limits[int(older)] = min(size, limits.get(int(older), size))
    return {number: journals[number] for number in sorted(journals)}


def journal_sizes(folder: TrialFolder) -> dict[str, int]:
    """The length in bytes of every journal, by attempt number."""
    return {str(number): folder.attempt(number).stat().st_size for number in attempt_numbers(folder)}


STEPS = (b'"event": "step"', b'"event": "sampled"')
"""Occurs at the beginning of a step's line."""


def parse(raw: bytes, *, steps: bool = True) -> Iterator[Event]:
    """The events of a journal. Skips torn lines, which only a crash leaves."""
    for line in raw.split(b"\n"):
        if not steps and any(name in line[:60] for name in STEPS):
            continue
        with contextlib.suppress(ValueError):
            if line and (event := from_json(line)) is not None:
                yield event


def read_control(folder: TrialFolder) -> list[ControlEvent]:
    """The control events, ordered by (claim, sequence); a lease comes before its events."""
    ordered: dict[tuple[int, int], str] = {}
    for name in _names(folder.control):
        if match := CLAIM.fullmatch(name):
            ordered[int(match[1]), -1] = name
        elif match := CONTROL_EVENT.fullmatch(name):
            ordered[int(match[1]), int(match[2])] = name
    found: list[ControlEvent] = []
    for key in sorted(ordered):
        with contextlib.suppress(ValueError):
            if event := control_events.from_dict(json.loads((folder.control / ordered[key]).read_bytes())):
                found.append(event)
    return found


def claim(folder: TrialFolder, event: Claimed) -> bool:
    """Acquire the lease numbered `event.claim`; returns False if that number is taken."""
    return _create(folder.claim(event.claim), event)


def is_cancelled(folder: TrialFolder, *, claim: int) -> bool:
    """Return True if this lease was cancelled."""
    return any(isinstance(event, Cancelled) and event.claim == claim for event in read_control(folder))


def is_held(folder: TrialFolder, *, claim: int) -> bool:
    """Return True if this lease is held."""
    holds = [event for event in read_control(folder) if event.claim == claim and isinstance(event, Held | Released)]
    return bool(holds) and isinstance(holds[-1], Held)


def record(folder: TrialFolder, event: ControlEvent) -> None:
    """Write an event under its lease, at the next free sequence number."""
    taken = [match for match in map(CONTROL_EVENT.fullmatch, _names(folder.control)) if match]
    sequence = 1 + max((int(match[2]) for match in taken if int(match[1]) == event.claim), default=0)
    while not _create(folder.control_event(claim=event.claim, sequence=sequence), event):
        sequence += 1


def _stamped(event: Recorded) -> Recorded:
    return event if event.t else dataclasses.replace(event, t=round(time.time(), 3))


def _create(path: Path, event: ControlEvent) -> bool:
    """Create a complete file, by linking a temporary one; returns False if the name is taken."""
    with _temporary(path, json.dumps(control_events.to_dict(_stamped(event))).encode()) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
    return True


def replace_file(path: Path, content: bytes) -> None:
    """Replace a whole file durably: after a crash it is the old or the new one."""
    with _temporary(path, content) as temporary:
        temporary.replace(path)


@contextlib.contextmanager
def _temporary(path: Path, content: bytes) -> Iterator[Path]:
    """A durable temporary file beside `path`, deleted at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
