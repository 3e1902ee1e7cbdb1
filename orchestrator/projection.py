"""Files to store: folds again whatever changed on disk since it was last folded.

A trial's signature (names, sizes and times of its control files and journals) is taken before its files are read, so a
line that is written meanwhile is seen by the next pass. Two processes may refresh at once: whoever comes second with an
older view looks again. A broken file is named in a warning and left out until it is mended.
"""

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from iwm_core.config import flatten
from iwm_core.errors import ConfigError
from orchestrator import census, journal
from orchestrator.layout import Layout, TrialFolder
from orchestrator.lifecycle import fold, history
from orchestrator.store import Folded, Store
from orchestrator.sweep import SweepRecord
from orchestrator.trial import Trial

log = logging.getLogger(__name__)

FOLD_VERSION = 1
"""Bumped when `lifecycle.fold`, or what is kept of it, changes: every trial is then folded again."""

ATTEMPTS = 5
"""How often a trial is looked at again when another process was faster."""


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """What one pass did. `broken` are files that could not be read."""

    sweeps: int = 0
    trials: int = 0
    unchanged: int = 0
    forgotten: int = 0
    broken: tuple[Path, ...] = ()


def refresh(layout: Layout, store: Store, *, trial_ids: Iterable[str] | None = None) -> Refreshed:
    """Brings the store up to date with the files of these trials (None: of all) and with new sweeps.

    A whole pass also drops what is no longer on disk, unless the folder of all trials (or sweeps) is gone itself.

    Raises:
        DatabaseError: the database cannot be used.
    """
    done = _refresh_sweeps(layout, store)
    seen = store.signatures()
    wanted = census.trial_ids(layout) if trial_ids is None else list(dict.fromkeys(trial_ids))
    for trial_id in wanted:
        done = _refresh_trial(layout.trial(trial_id), store, seen=seen.get(trial_id), done=done)
    if trial_ids is None and layout.trials.is_dir():
        gone = seen.keys() - set(wanted)
        store.forget(trial_ids=gone)
        done = replace(done, forgotten=done.forgotten + len(gone))
    return done


def _refresh_sweeps(layout: Layout, store: Store) -> Refreshed:
    """Reads each `sweep.json` that is new; it is written once."""
    known = store.sweep_ids()
    on_disk = {path.parent.name: path for path in sorted(layout.sweeps.glob("*/sweep.json"))}
    done = Refreshed()
    for sweep_id in on_disk.keys() - known:
        try:
            record = SweepRecord.from_dict(json.loads(on_disk[sweep_id].read_bytes()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            done = _broken(on_disk[sweep_id], error, done)
            continue
        store.put_sweep(record)
        done = replace(done, sweeps=done.sweeps + 1)
    if layout.sweeps.is_dir() and (gone := known - on_disk.keys()):
        store.forget(sweep_ids=gone)
        done = replace(done, forgotten=len(gone))
    return done


def _refresh_trial(folder: TrialFolder, store: Store, *, seen: str | None, done: Refreshed) -> Refreshed:
    for _ in range(ATTEMPTS):
        now = signature(folder)
        if now == seen:
            return replace(done, unchanged=done.unchanged + 1)
        try:
            folded = read_trial(folder, signature=now)
        except (OSError, ValueError, KeyError, TypeError, ConfigError) as error:
            return _broken(folder.value_file, error, done)
        if store.put_trial(folded, seen=seen):
            return replace(done, trials=done.trials + 1)
        seen = store.signatures().get(folder.id)
    return done  # others keep it up to date


def signature(folder: TrialFolder) -> str:
    """Changes whenever the trial must be folded again."""
    return hashlib.sha256(repr((FOLD_VERSION, census.signature(folder))).encode()).hexdigest()[:32]


def read_trial(folder: TrialFolder, *, signature: str) -> Folded:
    """A trial, folded from its files.

    Raises:
        ValueError, KeyError, TypeError, ConfigError, OSError: `trial.json` is not the trial of this folder.
    """
    trial = _read_value(folder)
    journals = journal.read_journals(folder)
    status = fold(journal.read_control(folder), journals)
    points, _ = history(journals)
    config = flatten(trial.to_dict()["config"])
    return Folded(id=folder.id, config=config, status=status, points=points, signature=signature)


def _read_value(folder: TrialFolder) -> Trial:
    raw = json.loads(folder.value_file.read_bytes())
    if raw["id"] != folder.id:
        raise ValueError(f"it holds the trial '{raw['id']}'")
    return Trial.from_dict(raw)


def _broken(path: Path, error: Exception, done: Refreshed) -> Refreshed:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    log.warning("cannot read '%s', so it is left out: %s", path, reason)
    return replace(done, broken=(*done.broken, path))
