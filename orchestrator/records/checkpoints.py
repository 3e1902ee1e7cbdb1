"""The checkpoints of a trial: which are valid, and which are no longer needed (`iwm gc`)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.host.progress import track
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.records.scan import read_status
from orchestrator.trial.lifecycle import Attempt, State

CHECKPOINT = re.compile(r"step-(\d+)-a(\d+)\.pt")
KEPT = {State.FINISHED: 1}
"""Checkpoints to keep by state; other trials keep two, since the newest may be unreadable."""


def is_trusted(step: int, attempt: int, *, older: tuple[Attempt, ...]) -> bool:
    """Return True if no later attempt resumed from an earlier step, so that the checkpoint belongs to the history."""
    return all(step <= later.resumed_from_step for later in older if later.number > attempt and later.has_begun)


@dataclass(frozen=True)
class Garbage:
    """Unneeded files, and whether they were deleted."""

    files: tuple[Path, ...]
    size_bytes: int
    deleted: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"files": [str(path) for path in self.files], "bytes": self.size_bytes, "deleted": self.deleted}

    def sentence(self) -> str:
        """One line for a person."""
        checkpoints = sum(path.suffix == ".pt" for path in self.files)
        size = f"{self.size_bytes / 1e6:.1f} MB in {checkpoints} checkpoints"
        return f"freed {size}" if self.deleted else f"would free {size}; delete them with --apply"


def collect(layout: Layout, trial_ids: Sequence[str], *, apply: bool) -> Garbage:
    """Find, and with `apply` delete, the checkpoints that no trial needs. Skips running trials."""
    files = [path for key in track(trial_ids, "reading checkpoints") for path in unneeded(layout.trial(key))]
    size = sum(path.stat().st_size for path in files)
    if apply:
        for path in track(files, "deleting files"):
            path.unlink(missing_ok=True)
    return Garbage(tuple(files), size, apply)


def unneeded(folder: TrialFolder) -> list[Path]:
    """The checkpoints that one trial does not need, with their checksums."""
    status = read_status(folder)
    if status.state is State.RUNNING or not folder.checkpoints.is_dir():
        return []
    names = [(CHECKPOINT.fullmatch(path.name), path) for path in folder.checkpoints.iterdir()]
    found = sorted(((int(name[1]), int(name[2]), path) for name, path in names if name), reverse=True)
    trusted = [path for step, attempt, path in found if is_trusted(step, attempt, older=status.attempts)]
    old = [path for _, _, path in found if path not in trusted[: KEPT.get(status.state, 2)]]
    sums = [path.with_name(path.name + ".sha256") for path in old]
    return old + [path for path in sums if path.exists()]
