"""Leases: the right to start a trial belongs to its newest claim. Also writes the files of a new trial.

A claim is a file that is linked into place once, so exactly one process wins it. It carries a fencing token, which the
job presents when it starts: a job under an older claim ends at once (docs/decisions/0007).
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
from orchestrator.trial.launchers import HYDRA, SLURM
from orchestrator.trial.lifecycle import RUNNABLE, State, newest_claim
from orchestrator.trial.sweep import Resources, Sweep
from orchestrator.trial.value import Trial, canonical_json


def new_token() -> str:
    """A unique fencing token: 16 hexadecimal digits."""
    return secrets.token_hex(8)


def write_trial(layout: Layout, trial: Trial) -> TrialFolder:
    """Writes `trial.json` unless it exists.

    Raises:
        RootError: the root is not writable.
    """
    folder = layout.trial(trial.id)
    _write_once(folder.value_file, trial.to_dict, layout=layout)
    return folder


def write_sweep(layout: Layout, sweep: Sweep, *, t: float) -> None:
    """Writes `sweep.json` unless the same sweep was recorded before.

    Raises:
        RootError: the root is not writable.
    """
    _write_once(layout.sweep_file(sweep.id), lambda: sweep.to_record(t=t).to_dict(), layout=layout)


def _write_once(path: Path, content: Callable[[], dict[str, Any]], *, layout: Layout) -> None:
    """Writes JSON whose content follows from the file's name, unless the file exists."""
    try:
        if not path.exists():
            journal.replace_file(path, canonical_json(content()).encode())
    except OSError as error:
        raise RootError(
            f"cannot write under root '{layout.root}': {error.strerror or error}", path=layout.root
        ) from error


def claim(
    folder: TrialFolder,
    *,
    resources: Resources,
    token: str,
    launcher: str,
    also_from: frozenset[State] = frozenset(),
    after: str = "",
) -> Claimed | None:
    """Claims the trial and returns the claim; None if another process was first or the trial is under way.

    With `after`, the trial may start once the trial of that id has finished. The claim's paths are absolute.
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
        resources=asdict(resources)
        | {"data_root": absolute(resources.data_root), "weights_file": absolute(resources.weights_file)},
    )
    return event if journal.claim(folder, event) else None


def absolute(folder: str) -> str:
    """The absolute path; empty stays empty."""
    return str(Path(folder).expanduser().resolve()) if folder else ""


def claim_again(folder: TrialFolder, *, token: str = "") -> Claimed | None:
    """Claims a trial again that was preempted or no longer waits for its parent; None as for `claim`.

    The new claim has the resources of the last one, and a new token unless given. What Hydra submitted to SLURM is
    from then on submitted as by `iwm submit`.
    """
    last, status = newest_claim(journal.read_control(folder)), read_status(folder)
    if not last or not (status.state is State.PREEMPTED or status.may_wait):
        return None
    launcher = SLURM if last.launcher == HYDRA else last.launcher
    event = replace(
        last,
        claim=status.claims,
        token=token or new_token(),
        launcher=launcher,
        host=provenance.host(),
        after="",
        t=0.0,
    )
    if not journal.claim(folder, event):
        return None
    if journal.is_cancelled(folder, claim=last.claim):  # cancelled while we were claiming
        journal.record(folder, Cancelled(claim=event.claim, by="as the claim before"))
        return None
    if journal.is_held(folder, claim=last.claim):
        journal.record(folder, Held(claim=event.claim, reason="as the claim before"))
        return None
    return event
