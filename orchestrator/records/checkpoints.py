"""The checkpoints in a trial's folder: which can be trusted, and which nobody needs any more (`iwm gc`)."""

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
"""A finished trial needs its last checkpoint, every other one the last two: the newest may prove unreadable."""


def is_trusted(step: int, attempt: int, *, older: tuple[Attempt, ...]) -> bool:
    """Whether a checkpoint lies on the line that led here: no later attempt had resumed from before it."""
    return all(step <= later.resumed_from_step for later in older if later.number > attempt and later.has_begun)


@dataclass(frozen=True)
class Garbage:
    """What can go, and whether it went."""

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
    """Finds, and with `apply` deletes, the checkpoints that no trial needs. A live trial is left alone."""
    looked_at = track(trial_ids, "looking at checkpoints")
    files = [path for trial_id in looked_at for path in superfluous(layout.trial(trial_id))]
    size = sum(path.stat().st_size for path in files)
    if apply:
        for path in track(files, "deleting files"):
            path.unlink(missing_ok=True)
    return Garbage(tuple(files), size, apply)


def superfluous(folder: TrialFolder) -> list[Path]:
    """The older checkpoints of one trial, with their checksums."""
    status = read_status(folder)
    if status.state is State.RUNNING or not folder.checkpoints.is_dir():
        return []
    names = [(CHECKPOINT.fullmatch(path.name), path) for path in folder.checkpoints.iterdir()]
    found = sorted(((int(name[1]), int(name[2]), path) for name, path in names if name), reverse=True)
    trusted = [path for step, attempt, path in found if is_trusted(step, attempt, older=status.attempts)]
    old = [path for _, _, path in found if path not in trusted[: KEPT.get(status.state, 2)]]
    sums = [path.with_name(path.name + ".sha256") for path in old]
    return old + [path for path in sums if path.exists()]
