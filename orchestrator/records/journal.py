"""Append and read what a trial's folder holds. Files are the truth; nothing here is ever rewritten.

An attempt's journal has one writer, which created the file exclusively. A line is appended in one write and is durable
before the next: an fsync costs some 2 ms, and so no checkpoint is ever newer than the log of its steps. A reader
ignores a torn line, and whatever an older attempt wrote after a newer one had started (`Started.older_bytes`).
"""

import contextlib
import dataclasses
import errno
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from iwm_core.events import Event, Started, from_json, to_json
from orchestrator.records.layout import ATTEMPT, CLAIM, CONTROL_EVENT, TrialFolder
from orchestrator.trial import events as control_events
from orchestrator.trial.events import Cancelled, Claimed, ControlEvent, Held, Released


class Journal:
    """The one writer of one attempt's journal."""

    def __init__(self, path: Path, *, attempt: int) -> None:
        """Creates the file.

        Raises:
            FileExistsError: another process has this attempt number.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.attempt, self.path = attempt, path
        self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o666)

    def append(self, event: Event) -> Event:
        """Writes one line, stamped with the time where it has none.

        Raises:
            OSError: the disk does not take it; a part of it may be there.
        """
        stamped = event if event.t else dataclasses.replace(event, t=round(time.time(), 3))
        line = to_json(stamped).encode() + b"\n"
        try:
            written = os.write(self._file, line)
            if written < len(line):
                os.write(self._file, b"\n")  # so that the torn line costs no other
                raise OSError(errno.ENOSPC, f"it took {written} of {len(line)} bytes")
            os.fsync(self._file)
        except OSError as error:
            raise OSError(error.errno, f"cannot write the journal: {error.strerror}", str(self.path)) from None
        return stamped

    def close(self) -> None:
        """Ends writing."""
        os.close(self._file)


def attempt_numbers(folder: TrialFolder) -> list[int]:
    """The attempts that have a journal, ascending."""
    return sorted(int(match[1]) for match in map(ATTEMPT.fullmatch, _names(folder.journal)) if match)


def read_journals(folder: TrialFolder, *, steps: bool = True) -> dict[int, list[Event]]:
    """Every attempt's events, without torn lines and without what was written after a newer attempt had started.

    Without `steps` those are left out: they are most of a journal, and decide nothing of a trial's state.
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
"""Is at the beginning of a step's line."""


def parse(raw: bytes, *, steps: bool = True) -> Iterator[Event]:
    """The events of a journal. A torn line, which only a crash leaves, is skipped."""
    for line in raw.split(b"\n"):
        if not steps and any(name in line[:60] for name in STEPS):
            continue
        with contextlib.suppress(ValueError):
            if line and (event := from_json(line)) is not None:
                yield event


def read_control(folder: TrialFolder) -> list[ControlEvent]:
    """What the orchestrator did, ordered by (claim, sequence); a claim comes before its events."""
    ordered: dict[tuple[int, int], str] = {}
    for name in _names(folder.control):
        if match := CLAIM.fullmatch(name):
            ordered[int(match[1]), -1] = name
        elif match := CONTROL_EVENT.fullmatch(name):
            ordered[int(match[1]), int(match[2])] = name
    found = (_read_control_file(folder.control / ordered[key]) for key in sorted(ordered))
    return [event for event in found if event is not None]


def _read_control_file(path: Path) -> ControlEvent | None:
    with contextlib.suppress(ValueError):
        return control_events.from_dict(json.loads(path.read_bytes()))
    return None


def claim(folder: TrialFolder, event: Claimed) -> bool:
    """Writes the claim numbered `event.claim`; False when somebody else has that number."""
    return _create(folder.claim(event.claim), control_events.to_dict(_stamped(event)))


def is_cancelled(folder: TrialFolder, *, claim: int) -> bool:
    """Whether somebody cancelled this claim."""
    return any(isinstance(event, Cancelled) and event.claim == claim for event in read_control(folder))


def is_held(folder: TrialFolder, *, claim: int) -> bool:
    """Whether somebody holds this claim, and nobody has released it."""
    holds = [event for event in read_control(folder) if event.claim == claim and isinstance(event, Held | Released)]
    return bool(holds) and isinstance(holds[-1], Held)


def record(folder: TrialFolder, event: ControlEvent) -> None:
    """Writes an event under its claim, at the next free sequence number."""
    taken = [match for match in map(CONTROL_EVENT.fullmatch, _names(folder.control)) if match]
    sequence = 1 + max((int(match[2]) for match in taken if int(match[1]) == event.claim), default=0)
    content = control_events.to_dict(_stamped(event))
    while not _create(folder.control_event(claim=event.claim, sequence=sequence), content):
        sequence += 1


def _stamped(event: ControlEvent) -> ControlEvent:
    return event if event.t else dataclasses.replace(event, t=round(time.time(), 3))


def _create(path: Path, content: Mapping[str, Any]) -> bool:
    """A complete file under this name, or nothing: written aside, then linked, which fails where the name is taken."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        write_durably(aside, json.dumps(content).encode())
        os.link(aside, path)
    except FileExistsError:
        return False
    finally:
        aside.unlink(missing_ok=True)
    return True


def replace_file(path: Path, content: bytes) -> None:
    """Writes a whole file or leaves the old one: aside, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        write_durably(aside, content)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_durably(path: Path, content: bytes) -> None:
    """Writes and fsyncs."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
