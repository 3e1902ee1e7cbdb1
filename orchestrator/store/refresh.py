"""Update the store: fold every trial again whose files have changed.

`records/scan.py` tells which have. A trial's file stats are taken before its files are read, so the next pass sees a
line that is written meanwhile. Several processes may refresh at once: one that writes an outdated trial is refused and
reads it again. An unreadable file is reported in a warning and left out until it is readable.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from iwm_core.config import flatten, to_dict
from iwm_core.errors import ConfigError
from orchestrator.host.progress import track
from orchestrator.records import journal
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.records.scan import FileStats, file_stats, folder_names, is_unchanged
from orchestrator.store.database import Store
from orchestrator.store.rows import Folded
from orchestrator.trial.lifecycle import fold, history
from orchestrator.trial.sweep import SweepRecord
from orchestrator.trial.value import Trial

log = logging.getLogger(__name__)

ATTEMPTS = 5
"""Number of times that a trial is read again if another process was faster."""

BATCH = 500
BATCH_POINTS = 20_000
"""Most trials, and about the most points, of one transaction: other writers wait for its end."""

BROKEN = (OSError, ValueError, KeyError, TypeError, ConfigError)
"""Errors of reading a damaged file."""


@dataclass(kw_only=True)
class Refreshed:
    """The result of one pass. `broken` are files that could not be read."""

    sweeps: int = 0
    trials: int = 0
    unchanged: int = 0
    forgotten: int = 0
    broken: tuple[Path, ...] = ()

    def add_broken(self, path: Path, error: Exception) -> None:
        """Counts a file that cannot be read, and logs why."""
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        log.warning("skipping '%s', which cannot be read: %s", path, reason)
        self.broken = (*self.broken, path)


def refresh(layout: Layout, store: Store, *, trial_ids: Iterable[str] | None = None) -> Refreshed:
    """Brings the store up to date with the files of these trials (None: of all) and with new sweeps.

    A whole pass also drops what is no longer on disk, unless the folder of all trials (or sweeps) is missing.

    Raises:
        DatabaseError: the database cannot be used.
    """
    done = Refreshed()
    _refresh_sweeps(layout, store, done=done)
    known = store.known()
    names = folder_names(layout) if trial_ids is None else list(dict.fromkeys(trial_ids))
    trials = str(layout.trials)
    changed = [name for name in names if not (name in known and is_unchanged(f"{trials}/{name}", known[name].glance))]
    done.unchanged = len(names) - len(changed)
    if trial_ids is None:
        missing = {name for name in changed if not layout.trial(name).value_file.exists()}
        changed = [name for name in changed if name not in missing]
        gone = known.keys() - (set(names) - missing)
        if gone and layout.trials.is_dir():
            store.forget(trial_ids=gone)
            done.forgotten += len(gone)
    for _ in range(ATTEMPTS):
        if not changed:
            break
        changed = _refresh_trials(layout, store, changed, known=known, done=done)
        known = store.known() if changed else known
    return done  # if some are still left, other processes keep them up to date


def _refresh_sweeps(layout: Layout, store: Store, *, done: Refreshed) -> None:
    """Reads every new `sweep.json`; a sweep's file never changes."""
    known = store.sweep_ids()
    on_disk = {path.parent.name: path for path in sorted(layout.sweeps.glob("*/sweep.json"))}
    for sweep_id in on_disk.keys() - known:
        try:
            record = SweepRecord.from_dict(json.loads(on_disk[sweep_id].read_bytes()))
        except BROKEN as error:
            done.add_broken(on_disk[sweep_id], error)
            continue
        store.put_sweep(record)
        done.sweeps += 1
    if layout.sweeps.is_dir() and (gone := known - on_disk.keys()):
        store.forget(sweep_ids=gone)
        done.forgotten += len(gone)


def _refresh_trials(
    layout: Layout, store: Store, names: Sequence[str], *, known: dict[str, FileStats], done: Refreshed
) -> list[str]:
    """Folds those of these trials that have changed; returns those that another process folded meanwhile."""
    glances: dict[str, FileStats] = {}

    def folded() -> Iterator[Folded]:
        for name in track(names, "reading trials"):
            folder = layout.trial(name)
            try:
                now = file_stats(folder)
                if name not in known or now.signature != known[name].signature:
                    yield read_trial(folder, now)
                    continue
            except BROKEN as error:
                done.add_broken(folder.value_file, error)
                continue
            done.unchanged += 1
            if now.glance != known[name].glance:
                glances[name] = now

    late: list[str] = []
    for batch in _batches(folded()):
        kept = store.put_trials(batch, known=known)
        late += [trial.id for trial in batch if trial.id not in kept]
        done.trials += len(kept)
    if glances:
        store.put_glances(glances)
    return late


def _batches(trials: Iterable[Folded]) -> Iterator[list[Folded]]:
    batch: list[Folded] = []
    points = 0
    for folded in trials:
        batch.append(folded)
        points += len(folded.points)
        if len(batch) == BATCH or points >= BATCH_POINTS:
            yield batch
            batch, points = [], 0
    if batch:
        yield batch


def read_trial(folder: TrialFolder, stats: FileStats) -> Folded:
    """Folds a trial's files; `stats` were taken before.

    Raises:
        ValueError, KeyError, TypeError, ConfigError, OSError: `trial.json` is not the trial of this folder.
    """
    raw = json.loads(folder.value_file.read_bytes())
    if raw["id"] != folder.id:
        raise ValueError(f"it contains another trial, '{raw['id']}'")
    config = flatten(to_dict(Trial.from_dict(raw).config))
    journals = journal.read_journals(folder)
    points, _ = history(journals)
    return Folded(folder.id, config, fold(journal.read_control(folder), journals), points, stats)
