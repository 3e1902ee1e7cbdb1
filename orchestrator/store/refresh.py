"""Files to store: folds again whatever changed on disk since it was last folded.

A trial whose files look as they did (`scan`: a glance) is left alone. Of another the signature (names, sizes and
times of its control files and journals) is taken before they are read, so a line that is written meanwhile is seen by
the next pass. Two processes may refresh at once: whoever comes second with an older view looks again. A broken file is
named in a warning and left out until it is mended.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from iwm_core.config import flatten, to_dict
from iwm_core.errors import ConfigError
from orchestrator.host.progress import track
from orchestrator.records import journal, scan
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.store.database import Store
from orchestrator.store.rows import Folded, Known
from orchestrator.trial.lifecycle import fold, history
from orchestrator.trial.sweep import SweepRecord
from orchestrator.trial.value import Trial

log = logging.getLogger(__name__)

FOLD_VERSION = 3
"""Bumped when `lifecycle.fold`, or what is kept of it, changes: every trial is then folded again."""

ATTEMPTS = 5
"""How often a trial is looked at again when another process was faster."""

BATCH = 500
BATCH_POINTS = 20_000
"""Trials that are written in one transaction: so many, or with so many points. Others wait for its end."""


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
    known = store.known()
    names = scan.folder_names(layout) if trial_ids is None else list(dict.fromkeys(trial_ids))
    folder = str(layout.trials)
    changed = [name for name in names if not (name in known and _is_unchanged(f"{folder}/{name}", known[name].glance))]
    unchanged = len(names) - len(changed)
    if trial_ids is None:
        gone = known.keys() - set(names)
        missing = {name for name in changed if not layout.trial(name).value_file.exists()}
        changed = [name for name in changed if name not in missing]
        gone |= missing & known.keys()
        if gone and layout.trials.is_dir():
            store.forget(trial_ids=gone)
            done = replace(done, forgotten=done.forgotten + len(gone))
    return _refresh_trials(layout, store, changed, known=known, done=replace(done, unchanged=unchanged))


def _is_unchanged(path: str, glance: str) -> bool:
    version, _, rest = glance.partition(" ")
    return version == str(FOLD_VERSION) and scan.is_unchanged(path, rest)


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


def _refresh_trials(
    layout: Layout, store: Store, names: Sequence[str], *, known: dict[str, Known], done: Refreshed
) -> Refreshed:
    """Folds what has changed of these trials, and once more those that somebody else had folded meanwhile."""
    for _ in range(ATTEMPTS):
        if not names:
            break
        reading = _Reading(layout, known, done=done)
        late: list[str] = []
        for batch in _batches(reading.folded(names)):
            kept = store.put_trials(batch, known=known)
            late += [folded.id for folded in batch if folded.id not in kept]
            reading.done = replace(reading.done, trials=reading.done.trials + len(kept))
        if reading.glances:
            store.put_glances(reading.glances)
        names, done = late, reading.done
        known = store.known() if late else known
    return done  # others keep what is left up to date


@dataclass
class _Reading:
    """Trials as they are on disk, one after the other, and what is noted on the way."""

    layout: Layout
    known: dict[str, Known]
    done: Refreshed
    glances: dict[str, Known] = field(default_factory=dict)

    def folded(self, names: Sequence[str]) -> Iterator[Folded]:
        """Those that have changed."""
        for name in track(names, "reading trials"):
            folder = self.layout.trial(name)
            try:
                now = look(folder)
                if name in self.known and now.signature == self.known[name].signature:
                    self._note(name, now)
                else:
                    yield read_trial(folder, now)
            except (OSError, ValueError, KeyError, TypeError, ConfigError) as error:
                self.done = _broken(folder.value_file, error, self.done)

    def _note(self, name: str, now: Known) -> None:
        self.done = replace(self.done, unchanged=self.done.unchanged + 1)
        if now.glance != self.known[name].glance:
            self.glances[name] = now


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


def look(folder: TrialFolder) -> Known:
    """How the trial's files look now: its signature changes whenever the trial must be folded again.

    Raises:
        OSError: a folder cannot be listed.
    """
    now = scan.look(folder)
    signature = hashlib.sha256(repr((FOLD_VERSION, now.signature)).encode()).hexdigest()[:32]
    return Known(signature, f"{FOLD_VERSION} {now.glance}" if now.glance else "")


def read_trial(folder: TrialFolder, looked: Known) -> Folded:
    """A trial, folded from files that looked like that before they were read.

    Raises:
        ValueError, KeyError, TypeError, ConfigError, OSError: `trial.json` is not the trial of this folder.
    """
    trial = _read_value(folder)
    journals = journal.read_journals(folder)
    status = fold(journal.read_control(folder), journals)
    points, _ = history(journals)
    config = flatten(to_dict(trial.config))
    return Folded(folder.id, config, status, points, looked)


def _read_value(folder: TrialFolder) -> Trial:
    raw = json.loads(folder.value_file.read_bytes())
    if raw["id"] != folder.id:
        raise ValueError(f"it holds the trial '{raw['id']}'")
    return Trial.from_dict(raw)


def _broken(path: Path, error: Exception, done: Refreshed) -> Refreshed:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    log.warning("cannot read '%s', so it is left out: %s", path, reason)
    return replace(done, broken=(*done.broken, path))
