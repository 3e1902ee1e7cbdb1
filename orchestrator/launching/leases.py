"""Leases: the right to start a trial, won by one claim that is newer than every other; and the files it begins with.

A claim is a file that is linked into place once, so of many who try one wins. It carries a token, which a job shows
when it begins: a job under an older claim ends at once (docs/decisions/0007).
"""

import secrets
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from orchestrator.errors import RootError
from orchestrator.host import provenance
from orchestrator.records import journal
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.records.scan import read_status
from orchestrator.trial.events import Cancelled, Claimed, Held
from orchestrator.trial.lifecycle import RUNNABLE, State, newest_claim
from orchestrator.trial.sweep import Resources, Sweep
from orchestrator.trial.value import Trial, canonical_json


def new_token() -> str:
    """A token that nobody else has."""
    return secrets.token_hex(8)


def write_trial(layout: Layout, trial: Trial) -> TrialFolder:
    """Writes `trial.json`, unless it is there.

    Raises:
        RootError: the root cannot be written.
    """
    folder = layout.trial(trial.id)
    _write_once(folder.value_file, trial.to_dict, layout=layout)
    return folder


def write_sweep(layout: Layout, sweep: Sweep, *, t: float) -> None:
    """Writes `sweep.json`, unless the same sweep was recorded before.

    Raises:
        RootError: the root cannot be written.
    """
    _write_once(layout.sweep_file(sweep.id), lambda: sweep.to_record(t=t).to_dict(), layout=layout)


def _write_once(path: Path, content: Callable[[], dict[str, Any]], *, layout: Layout) -> None:
    """Writes JSON whose content is fixed by the file's name, unless it is there."""
    try:
        if not path.exists():
            journal.replace_file(path, canonical_json(content()).encode())
    except OSError as error:
        raise RootError(f"cannot write under root '{layout.root}': {error.strerror or error}") from error


def claim(
    folder: TrialFolder,
    *,
    resources: Resources,
    token: str,
    launcher: str,
    also_from: frozenset[State] = frozenset(),
    after: str = "",
) -> Claimed | None:
    """Wins the right to start this trial, or finds (None) that somebody else has it or that it is under way.

    With `after` it is the right to start it once the trial of that id has finished.
    """
    status = read_status(folder)
    if status.state not in RUNNABLE | also_from:
        return None
    event = Claimed(
        claim=status.claims,
        token=token,
        launcher=launcher,
        host=provenance.host(),
        user=provenance.user(),
        after=after,
        resources=asdict(
            replace(
                resources,
                data_root=absolute(resources.data_root),
                weights_file=absolute(resources.weights_file),
            )
        ),
    )
    return event if journal.claim(folder, event) else None


def absolute(folder: str) -> str:
    """The folder as every process can find it, wherever it was started."""
    return str(Path(folder).expanduser().resolve()) if folder else ""


def claim_again(folder: TrialFolder, *, token: str = "") -> Claimed | None:
    """The next claim of a trial that was preempted, or that need not wait for another any more.

    It has the resources of the last one, and a token of its own unless given.
    """
    last, status = newest_claim(journal.read_control(folder)), read_status(folder)
    if not last or not (status.state is State.PREEMPTED or status.may_wait):
        return None
    event = replace(last, claim=status.claims, token=token or new_token(), host=provenance.host(), after="", t=0.0)
    if not journal.claim(folder, event):
        return None
    if journal.is_cancelled(folder, claim=last.claim):  # it came while we were claiming: it holds for this one
        journal.record(folder, Cancelled(claim=event.claim, by="as the claim before"))
        return None
    if journal.is_held(folder, claim=last.claim):
        journal.record(folder, Held(claim=event.claim, reason="as the claim before"))
        return None
    return event
