"""Every path and file name, in one place.

<root>/orchestrator.db  mlflow.db  mlartifacts/         projections; the databases move with IWM_STATE, IWM_DATABASE_URL
<root>/sweeps/<sweep_id>/sweep.json
<root>/trials/<trial_id>/trial.json                     the value
                        /control/claim-0000.json        one file per orchestrator event, claims among them
                        /control/event-0000-01.json     ... under its claim
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

CLAIM = re.compile(r"claim-(\d{4,})\.json")
CONTROL_EVENT = re.compile(r"event-(\d{4,})-(\d{2,})\.json")
ATTEMPT = re.compile(r"attempt-(\d{4,})\.jsonl")


def sqlite_url(file: Path) -> str:
    """The database URL of a file, whatever its folders are called."""
    quoted = str(file).replace("%", "%25").replace("?", "%3F")
    return f"sqlite:///{quoted}"


@dataclass(frozen=True)
class TrialFolder:
    """The files of one trial."""

    path: Path

    @property
    def id(self) -> str:
        """The folder is named by the trial's id."""
        return self.path.name

    @property
    def value_file(self) -> Path:
        """The trial itself."""
        return self.path / "trial.json"

    @property
    def control(self) -> Path:
        """What the orchestrator did."""
        return self.path / "control"

    @property
    def journal(self) -> Path:
        """What the attempts said."""
        return self.path / "journal"

    @property
    def checkpoints(self) -> Path:
        """Weights and optimiser."""
        return self.path / "checkpoints"

    @property
    def pictures(self) -> Path:
        """What an evaluation shows."""
        return self.path / "pictures"

    @property
    def logs(self) -> Path:
        """Standard output and error of every attempt, and submitit's own files."""
        return self.path / "logs"

    @property
    def worker_lock(self) -> Path:
        """Held (flock) by a worker for as long as it lives."""
        return self.path / "worker.lock"

    def claim(self, number: int) -> Path:
        """The file of one claim."""
        return self.control / f"claim-{number:04d}.json"

    def control_event(self, *, claim: int, sequence: int) -> Path:
        """The file of one event under a claim."""
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

    @classmethod
    def of(cls, root: str | Path, *, environ: Mapping[str, str] = os.environ) -> "Layout":
        """The layout under `root`, as the environment (IWM_STATE, IWM_DATABASE_URL, MLFLOW_TRACKING_URI) moves it."""
        path = Path(root).expanduser().resolve()
        state = Path(environ.get("IWM_STATE") or path).expanduser().resolve()
        return cls(
            root=path,
            state=state,
            database_url=environ.get("IWM_DATABASE_URL") or sqlite_url(state / "orchestrator.db"),
            tracking_uri=environ.get("MLFLOW_TRACKING_URI") or sqlite_url(state / "mlflow.db"),
        )

    @property
    def sweeps(self) -> Path:
        """One folder per sweep."""
        return self.root / "sweeps"

    @property
    def trials(self) -> Path:
        """One folder per trial."""
        return self.root / "trials"

    @property
    def artifacts(self) -> Path:
        """MLflow's artifacts, where no server stores them elsewhere."""
        return self.root / "mlartifacts"

    @property
    def local(self) -> Path:
        """The local launcher's files, of this host."""
        return self.root / "local" / socket.gethostname()

    @property
    def keeper_lock(self) -> Path:
        """Held (flock) by the slot keeper."""
        return self.local / "keeper.lock"

    @property
    def keeper_log(self) -> Path:
        """What the slot keeper said."""
        return self.local / "keeper.log"

    @property
    def gather_lock(self) -> Path:
        """Held (flock) by whoever sends to MLflow."""
        return self.root / "gather.lock"

    def batch(self, token: str) -> Path:
        """One submission to SLURM: `batch.json`, submitit's files, and what was said before a trial's own log began."""
        return self.root / "slurm" / token

    @property
    def slurm_lock(self) -> Path:
        """Held (flock) by whoever asks SLURM and acts on what it says."""
        return self.root / "slurm" / "reconcile.lock"

    @property
    def slurm_seen(self) -> Path:
        """What SLURM last said of each job: for tables, never for decisions."""
        return self.state / "slurm_seen.json"

    @property
    def serve_lock(self) -> Path:
        """Held (flock) by the `iwm serve` of this root; says who that is, and where to look."""
        return self.state / "serve.lock"

    @property
    def server_log(self) -> Path:
        """What MLflow's server said."""
        return self.state / "mlflow-server.log"

    def slot_lock(self, slot: int) -> Path:
        """Held (flock) by the worker in this slot."""
        return self.local / f"slot-{slot}.lock"

    def sweep_file(self, sweep_id: str) -> Path:
        """The record of one sweep."""
        return self.sweeps / sweep_id / "sweep.json"

    def trial(self, trial_id: str) -> TrialFolder:
        """The folder of one trial."""
        return TrialFolder(self.trials / trial_id)
