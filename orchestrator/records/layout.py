"""Every path and file name.

<root>/orchestrator.db  mlflow.db  mlartifacts/         projections; IWM_STATE and IWM_DATABASE_URL move the databases
<root>/sweeps/<sweep_id>/sweep.json
<root>/trials/<trial_id>/trial.json                     the trial
                        /control/claim-0000.json        one file per control event, leases (claims) among them
                        /control/event-0000-01.json     ... under its lease
                        /journal/attempt-0000.jsonl     one writer each
                        /checkpoints/  logs/  worker.lock
<root>/slurm/<token>/                                   one submission: batch.json, submitit's files
<root>/local/<host>/                                    the local launcher: keeper.lock, keeper.log, slot-0.lock
"""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLAIM = re.compile(r"claim-(\d{4,})\.json")
CONTROL_EVENT = re.compile(r"event-(\d{4,})-(\d{2,})\.json")
ATTEMPT = re.compile(r"attempt-(\d{4,})\.jsonl")


def sqlite_url(file: Path) -> str:
    """The database URL of a file, with special characters quoted."""
    quoted = str(file).replace("%", "%25").replace("?", "%3F")
    return f"sqlite:///{quoted}"


class Inside:
    """An attribute that is the path `name` inside the folder that the owner's attribute `of` holds."""

    def __init__(self, name: str, *, of: str) -> None:
        self._name, self._of = name, of

    def __get__(self, owner: Any, kind: type) -> Path:
        return getattr(owner, self._of) / self._name


@dataclass(frozen=True)
class TrialFolder:
    """The files of one trial."""

    path: Path

    value_file = Inside("trial.json", of="path")
    """The trial itself."""
    control = Inside("control", of="path")
    """The orchestrator's events."""
    journal = Inside("journal", of="path")
    """The attempts' events."""
    checkpoints = Inside("checkpoints", of="path")
    """Weights and optimiser states."""
    pictures = Inside("pictures", of="path")
    """Pictures of an evaluation."""
    logs = Inside("logs", of="path")
    """Standard output and error of every attempt, and submitit's own files."""
    worker_lock = Inside("worker.lock", of="path")
    """Held (flock) by a worker while it lives."""

    @property
    def id(self) -> str:
        """The trial's id, which is the folder's name."""
        return self.path.name

    def claim(self, number: int) -> Path:
        """The file of one lease."""
        return self.control / f"claim-{number:04d}.json"

    def control_event(self, *, claim: int, sequence: int) -> Path:
        """The file of one event under a lease."""
        return self.control / f"event-{claim:04d}-{sequence:02d}.json"

    def attempt(self, number: int) -> Path:
        """The journal of one attempt."""
        return self.journal / f"attempt-{number:04d}.jsonl"


@dataclass(frozen=True)
class Layout:
    """The files of one root."""

    root: Path
    state: Path
    database_url: str
    tracking_uri: str

    sweeps = Inside("sweeps", of="root")
    """One folder per sweep."""
    trials = Inside("trials", of="root")
    """One folder per trial."""
    artifacts = Inside("mlartifacts", of="root")
    """MLflow's artifacts, unless a server stores them."""
    gather_lock = Inside("gather.lock", of="root")
    """Held (flock) by the process that sends to MLflow."""
    keeper_lock = Inside("keeper.lock", of="local")
    """Held (flock) by the slot keeper."""
    keeper_log = Inside("keeper.log", of="local")
    """The slot keeper's log."""
    slurm_lock = Inside("slurm/reconcile.lock", of="root")
    """Held (flock) by the process that asks SLURM about jobs and acts on the answers."""
    slurm_seen = Inside("slurm_seen.json", of="state")
    """What SLURM last reported of each job: for tables, never for decisions."""
    serve_lock = Inside("serve.lock", of="state")
    """Held (flock) by the `iwm serve` of this root; holds its address."""
    server_log = Inside("mlflow-server.log", of="state")
    """The log of MLflow's server."""

    @classmethod
    def of(cls, root: str | Path, *, environ: Mapping[str, str] = os.environ) -> "Layout":
        """The layout of `root`; IWM_STATE, IWM_DATABASE_URL and MLFLOW_TRACKING_URI in `environ` move parts of it."""
        path = Path(root).expanduser().resolve()
        state = Path(environ.get("IWM_STATE") or path).expanduser().resolve()
        return cls(
            root=path,
            state=state,
            database_url=environ.get("IWM_DATABASE_URL") or sqlite_url(state / "orchestrator.db"),
            tracking_uri=environ.get("MLFLOW_TRACKING_URI") or sqlite_url(state / "mlflow.db"),
        )

    @property
    def local(self) -> Path:
        """The local launcher's files on this host."""
        return self.root / "local" / socket.gethostname()

    def batch(self, token: str) -> Path:
        """One submission to SLURM: `batch.json`, submitit's files, and output from before a trial's own log starts."""
        return self.root / "slurm" / token

    def slot_lock(self, slot: int) -> Path:
        """Held (flock) by the worker in this slot."""
        return self.local / f"slot-{slot}.lock"

    def sweep_file(self, sweep_id: str) -> Path:
        """The record of one sweep."""
        return self.sweeps / sweep_id / "sweep.json"

    def trial(self, trial_id: str) -> TrialFolder:
        """The folder of one trial."""
        return TrialFolder(self.trials / trial_id)
