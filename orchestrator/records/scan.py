"""The status of every trial under a root, folded from its files and kept until they change.

A root of ten thousand trials has some forty thousand files, so a check for changes is cheap first and exact only where
the cheap one fails:

    glance       modification times of `control/` and `journal/`, size and time of each journal: no folder is listed.
                 Control events and attempts are new names in their folders and journals only grow, so every change of
                 a status changes the glance
    signature    a hash of the names, sizes and times of all files in both folders

A folder's time does not show a second change within one tick of the clock, so a glance is valid only once both folders
have been left alone for `SETTLED_S`. Before that, and on a file system that does not update the times of folders
(`control/` is older than a file in it), folders are listed every time. Only `iwm sync --rebuild` notices what this
program never does: a control file edited in place, a file restored with its old size and time, a `trial.json` changed
or removed. On NFS a change by another machine shows once cached attributes expire: after a minute at most by default.
"""

import hashlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.records import journal
from orchestrator.records.layout import ATTEMPT, Layout, TrialFolder
from orchestrator.trial.lifecycle import FOLD_VERSION, TrialStatus, fold

SETTLED_S = 30.0
"""How long a folder must be left alone: longer than a file system's tick and than the clocks of two hosts differ."""

NEVER = ""
"""A glance that is never valid."""


@dataclass(frozen=True)
class FileStats:
    """What a trial's files looked like when it was folded: exactly (`signature`), and as a `glance`."""

    signature: str
    glance: str = NEVER


def file_stats(folder: TrialFolder, *, now_s: float | None = None) -> FileStats:
    """Lists both folders. `now_s` is the time in unix seconds, by default the clock's.

    Raises:
        OSError: a folder exists and cannot be listed.
    """
    path = str(folder.path)
    times = _time_ns(f"{path}/control"), _time_ns(f"{path}/journal")  # before they are listed
    control, journals = _entries(f"{path}/control"), _entries(f"{path}/journal")
    settled_ns = int(((time.time() if now_s is None else now_s) - SETTLED_S) * 1e9)
    is_valid = max(times) <= settled_ns and all(time_ns <= times[0] for _, _, time_ns in control)
    attempts = sorted(entry for entry in journals if ATTEMPT.fullmatch(entry[0]))
    exact = repr((FOLD_VERSION, tuple(sorted((*control, *journals)))))
    signature = hashlib.sha256(exact.encode()).hexdigest()[:32]
    return FileStats(signature, _glance(times, attempts) if is_valid else NEVER)


def is_unchanged(path: str, glance: str) -> bool:
    """Return True if the trial folder at `path` still has this glance."""
    if glance == NEVER:
        return False
    try:
        times = _time_ns(f"{path}/control"), _time_ns(f"{path}/journal")
        attempts = [_file(path, part.partition("/")[0]) for part in glance.split(" ")[3:]]
    except OSError:  # the caller then reads the files and reports the error
        return False
    return glance == _glance(times, attempts)


def _glance(times: tuple[int, int], attempts: Iterable[tuple[str, int, int]]) -> str:
    files = (f"{name}/{size}/{time_ns}" for name, size, time_ns in attempts)
    return " ".join((str(FOLD_VERSION), str(times[0]), str(times[1]), *files))


def _file(path: str, name: str) -> tuple[str, int, int]:
    found = os.stat(f"{path}/journal/{name}")
    return name, found.st_size, found.st_mtime_ns


def _time_ns(path: str) -> int:
    """A folder's modification time; 0 if it does not exist."""
    try:
        return os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return 0


def _entries(path: str) -> list[tuple[str, int, int]]:
    """Name, size and modification time (ns) of every file in a folder."""
    try:
        with os.scandir(path) as entries:
            found = [(entry.name, entry.stat()) for entry in entries if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in found]


def read_status(folder: TrialFolder) -> TrialStatus:
    """Fold a trial's files into its status."""
    return fold(journal.read_control(folder), journal.read_journals(folder))


def read_outline(folder: TrialFolder) -> TrialStatus:
    """The same without the lines of steps, in a fraction of the time: `step` is the last checkpoint's."""
    return fold(journal.read_control(folder), journal.read_journals(folder, steps=False))


def trial_ids(layout: Layout) -> list[str]:
    """Every trial that has a value file."""
    return [name for name in folder_names(layout) if layout.trial(name).value_file.exists()]


def folder_names(layout: Layout) -> list[str]:
    """Every folder of a trial, with or without a value file."""
    try:
        with os.scandir(layout.trials) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
    except FileNotFoundError:
        return []


@dataclass
class Census:
    """The status of every trial; a trial is folded again only when its files change."""

    layout: Layout
    _known: dict[str, tuple[FileStats, TrialStatus]] = field(default_factory=dict)

    def look(self) -> dict[str, TrialStatus]:
        """Every trial's status, by id."""
        return {trial_id: self.status(trial_id) for trial_id in trial_ids(self.layout)}

    def status(self, trial_id: str) -> TrialStatus:
        """One trial's status."""
        folder = self.layout.trial(trial_id)
        before, status = self._known.get(trial_id, (None, None))
        if before and status and is_unchanged(str(folder.path), before.glance):
            return status
        now = file_stats(folder)
        if not before or not status or before.signature != now.signature:
            status = read_status(folder)
        self._known[trial_id] = now, status
        return status
