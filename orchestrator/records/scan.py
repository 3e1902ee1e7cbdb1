"""The status of every trial under a root, folded from its files and remembered until they change.

Whether they have changed is asked of some forty thousand files whenever somebody looks, so the question is cheap first
and exact only then:

    glance       the times of `control/` and `journal/`, and size and time of each journal that was there: no folder is
                 opened. Control events and attempts are new names in their folders, and journals only grow, so whatever
                 changes a status changes the glance
    signature    names, sizes and times of all files in both folders

A folder's time says nothing of a second change in the same tick of the clock, so a glance holds only once both folders
have been left alone for `SETTLED_S`; until then, and on a file system that does not keep the time of folders (its
`control/` is older than a file in it), folders are listed every time. What nothing here ever does is noticed by
`iwm sync --rebuild` at the latest: a control file edited in place, a file restored with its old size and time, a
`trial.json` changed or taken away. On NFS a change on another machine shows as late as its attributes are cached: a
minute at most, unless mounted otherwise.
"""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.records import journal
from orchestrator.records.layout import ATTEMPT, Layout, TrialFolder
from orchestrator.trial.lifecycle import TrialStatus, fold

Signature = tuple[tuple[str, int, int], ...]
"""Name, size and modification time (ns) of each file that a status is folded from."""

SETTLED_S = 30.0
"""For how long a folder must have been left alone: longer than a file system's tick, and than clocks are apart."""

NEVER = ""
"""The glance that does not hold."""


@dataclass(frozen=True)
class Look:
    """A trial's files: exactly, and as a glance that holds for as long as they are the same."""

    signature: Signature
    glance: str


def look(folder: TrialFolder, *, now_s: float | None = None) -> Look:
    """Lists both folders. `now_s` is the time in unix seconds, by default the clock's.

    Raises:
        OSError: a folder is there and cannot be listed.
    """
    path = str(folder.path)
    times = _time_ns(f"{path}/control"), _time_ns(f"{path}/journal")  # before they are listed
    control, journals = _entries(f"{path}/control"), _entries(f"{path}/journal")
    settled_ns = int(((time.time() if now_s is None else now_s) - SETTLED_S) * 1e9)
    keeps_times = all(time_ns <= times[0] for _, _, time_ns in control)
    attempts = sorted(entry for entry in journals if ATTEMPT.fullmatch(entry[0]))
    holds = max(times) <= settled_ns and keeps_times
    return Look(tuple(sorted((*control, *journals))), _glance(times, attempts) if holds else NEVER)


def is_unchanged(path: str, glance: str) -> bool:
    """Whether the trial folder at `path` still looks like that."""
    if glance == NEVER:
        return False
    try:
        times = _time_ns(f"{path}/control"), _time_ns(f"{path}/journal")
        attempts = [_file(path, part.partition("/")[0]) for part in glance.split(" ")[2:]]
    except OSError:  # whoever then reads the files says what it is
        return False
    return glance == _glance(times, attempts)


def _glance(times: tuple[int, int], attempts: Iterable[tuple[str, int, int]]) -> str:
    return " ".join((str(times[0]), str(times[1]), *(f"{name}/{size}/{time_ns}" for name, size, time_ns in attempts)))


def _file(path: str, name: str) -> tuple[str, int, int]:
    found = os.stat(f"{path}/journal/{name}")
    return name, found.st_size, found.st_mtime_ns


def _time_ns(path: str) -> int:
    """A folder's time, 0 where there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return 0


def _entries(path: str) -> list[tuple[str, int, int]]:
    try:
        with os.scandir(path) as entries:
            found = [(entry.name, entry.stat()) for entry in entries if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in found]


def read_status(folder: TrialFolder) -> TrialStatus:
    """The status that the files amount to now."""
    return fold(journal.read_control(folder), journal.read_journals(folder))


def read_outline(folder: TrialFolder) -> TrialStatus:
    """The status without what only lines of steps tell, in a fraction of the time: it is as far as its checkpoint."""
    return fold(journal.read_control(folder), journal.read_journals(folder, steps=False))


def trial_ids(layout: Layout) -> list[str]:
    """Every trial that has a value file."""
    return [name for name in folder_names(layout) if layout.trial(name).value_file.exists()]


def folder_names(layout: Layout) -> list[str]:
    """Every folder among the trials, with a value file or without."""
    try:
        with os.scandir(layout.trials) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
    except FileNotFoundError:
        return []


@dataclass
class Census:
    """Looks again at what changed."""

    layout: Layout
    _known: dict[str, tuple[Look, TrialStatus]] = field(default_factory=dict)

    def look(self) -> dict[str, TrialStatus]:
        """Every trial's status, by id."""
        return {trial_id: self.status(trial_id) for trial_id in trial_ids(self.layout)}

    def status(self, trial_id: str) -> TrialStatus:
        """One trial's status."""
        folder = self.layout.trial(trial_id)
        before, status = self._known.get(trial_id, (None, None))
        if before and status and is_unchanged(str(folder.path), before.glance):
            return status
        now = look(folder)
        if not before or not status or before.signature != now.signature:
            status = read_status(folder)
        self._known[trial_id] = now, status
        return status
