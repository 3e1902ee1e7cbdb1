"""The status of every trial under a root, folded from its files and remembered until they change."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator import journal
from orchestrator.layout import Layout, TrialFolder
from orchestrator.lifecycle import TrialStatus, fold

Signature = tuple[tuple[str, int, int], ...]
"""Name, size and modification time (ns) of each file that a status is folded from."""


def signature(folder: TrialFolder) -> Signature:
    """Changes whenever the trial's status may have changed."""
    return tuple(sorted((*_entries(folder.control), *_entries(folder.journal))))


def _entries(path: Path) -> Iterable[tuple[str, int, int]]:
    try:
        with os.scandir(path) as entries:
            found = [(entry.name, entry.stat()) for entry in entries if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in found]


def read_status(folder: TrialFolder) -> TrialStatus:
    """The status that the files amount to now."""
    return fold(journal.read_control(folder), journal.read_journals(folder))


def trial_ids(layout: Layout) -> list[str]:
    """Every trial that has a value file."""
    try:
        with os.scandir(layout.trials) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir())
    except FileNotFoundError:
        return []
    return [name for name in names if layout.trial(name).value_file.exists()]


@dataclass
class Census:
    """Looks again at what changed."""

    layout: Layout
    _known: dict[str, tuple[Signature, TrialStatus]] = field(default_factory=dict)

    def look(self) -> dict[str, TrialStatus]:
        """Every trial's status, by id."""
        return {trial_id: self.status(trial_id) for trial_id in trial_ids(self.layout)}

    def status(self, trial_id: str) -> TrialStatus:
        """One trial's status."""
        folder = self.layout.trial(trial_id)
        now = signature(folder)
        known = self._known.get(trial_id)
        if known is None or known[0] != now:
            known = self._known[trial_id] = (now, read_status(folder))
        return known[1]
