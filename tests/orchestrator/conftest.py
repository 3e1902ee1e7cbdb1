"""Roots as workers leave them, with real trial files, control files and journals, in a temporary folder."""

import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from iwm_core.config import TrialConfig
from iwm_core.events import Checkpoint, Evaluated, Event, Finished, Started, Step, to_json
from orchestrator.records import journal
from orchestrator.records.journal import Journal
from orchestrator.records.layout import Layout, TrialFolder
from orchestrator.trial.events import Claimed
from orchestrator.trial.launchers import LOCAL
from orchestrator.trial.sweep import Cell, Sweep, SweepRecord
from orchestrator.trial.value import Trial
from tests.fakes.postgresql import Postgresql

T0 = 1_700_000_000.0


@dataclass(frozen=True)
class OnDisk:
    """Writes the files of planners and workers."""

    layout: Layout
    t0: ClassVar[float] = T0
    """When the first attempt of `undisturbed` and `resumed` starts."""

    def trial(self, seed: int = 0, *, launcher: str = LOCAL, **groups: Any) -> TrialFolder:
        """A claimed trial; `groups` of settings other than the defaults."""
        trial = Trial(TrialConfig(seed=seed, **groups))
        folder = self.layout.trial(trial.id)
        journal.replace_file(folder.value_file, json.dumps(trial.to_dict()).encode())
        journal.claim(folder, Claimed(claim=0, launcher=launcher, t=T0))
        return folder

    def sweep(self, name: str, seeds: Sequence[int], *, t: float = T0) -> SweepRecord:
        """A sweep over seeds."""
        cells = tuple(Cell(Trial(TrialConfig(seed=seed)), {"seed": seed}) for seed in seeds)
        record = Sweep(name=name, axes=("seed",), cells=cells).to_record(t=t)
        journal.replace_file(self.layout.sweep_file(record.id), json.dumps(record.to_dict()).encode())
        return record

    def attempt(self, folder: TrialFolder, events: Iterable[Event]) -> Journal:
        """One attempt's journal, left open for more."""
        number = max(journal.attempt_numbers(folder), default=-1) + 1
        writer = Journal(folder.attempt(number), attempt=number)
        for event in events:
            writer.append(event)
        return writer

    def undisturbed(self, folder: TrialFolder, *, steps: int = 100) -> None:
        """A trial that ran from its first step to its last."""
        self.attempt(folder, [started(0, folder), *trained(0, steps), *ended(steps)]).close()

    def resumed(self, folder: TrialFolder, *, steps: int = 100) -> None:
        """The same trial, killed after 70 % and resumed from its checkpoint at 50 %."""
        half, killed = steps // 2, steps * 7 // 10
        self.attempt(folder, [started(0, folder), *trained(0, half), Checkpoint(step=half, t=T0 + half)]).close()
        late = trained(half, killed)
        with folder.attempt(0).open("ab") as torn:
            torn.write(b"".join(line.encode() + b"\n" for line in map(journal_line, late)) + b'{"t": 17, "ev')
        opening = started(1, folder, resumed_from_step=half)
        self.attempt(folder, [opening, *trained(half, steps, t0=T0 + 1000), *ended(steps, t0=T0 + 1000)]).close()


def started(attempt: int, folder: TrialFolder, *, resumed_from_step: int = 0) -> Started:
    """An attempt's first line."""
    return Started(
        attempt=attempt,
        job_id=f"local-{attempt}",
        host="node1",
        total_steps=100,
        resumed_from_step=resumed_from_step,
        older_bytes=journal.journal_sizes(folder) if attempt else {},
        fingerprint={"device": "cpu", "deterministic": True},
        provenance={"commit": "c0ffee"},
        t=T0 + 1000 * attempt,
    )


def trained(after: int, until: int, *, t0: float = T0) -> list[Event]:
    """Every tenth step in (after, until], with values that depend on the step alone."""
    steps = range(after // 10 * 10 + 10, until + 1, 10)
    return [Step(step=step, metrics={"loss": 1 / step, "images_per_s": t0 % 7 + step}, t=t0 + step) for step in steps]


def ended(steps: int, *, t0: float = T0) -> list[Event]:
    """The evaluation and the last line."""
    metrics = {"mrr": 0.5, "mrr_floor": 0.024}
    evaluated = Evaluated(step=steps, protocol="mrr", metrics=metrics, t=t0 + steps + 1)
    return [evaluated, Finished(step=steps, weights_sha256="ab" * 32, metrics=metrics, t=t0 + steps + 2)]


def journal_line(event: Event) -> str:
    """One line as a journal has it."""
    return to_json(event)


@pytest.fixture(autouse=True)
def _libraries_can_be_loaded_again() -> Iterator[None]:
    """Undo how `iwm serve`, run in this process, keeps pandas out of it."""
    yield
    for name in [name for name in ("pandas", "pyarrow") if sys.modules.get(name, name) is None]:
        del sys.modules[name]


@pytest.fixture
def on_disk(tmp_path) -> OnDisk:
    """An empty root."""
    return OnDisk(Layout.of(tmp_path / "root", environ={}))


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory) -> Path:
    """An MLflow database without content: making one takes seconds, copying it does not."""
    from orchestrator.tracking.client import open_client

    layout = Layout.of(tmp_path_factory.mktemp("mlflow"), environ={})
    open_client(layout)
    return layout.state / "mlflow.db"


@pytest.fixture
def tracked(on_disk, empty_mlflow) -> OnDisk:
    """An empty root with an MLflow database."""
    on_disk.layout.state.mkdir(parents=True)
    shutil.copy(empty_mlflow, on_disk.layout.state / "mlflow.db")
    return on_disk


@pytest.fixture(scope="session")
def empty_mlflow_on_postgresql(postgresql: Postgresql) -> str:
    """The same on PostgreSQL: the name of a template to copy."""
    from orchestrator.tracking.client import forget_connections, open_client

    url = postgresql.create("empty_mlflow")
    open_client(Layout.of("nowhere", environ={"MLFLOW_TRACKING_URI": url}))
    forget_connections(url)
    return "empty_mlflow"


@pytest.fixture(params=["sqlite", "postgresql"])
def tracked_anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OnDisk]:
    """An empty root whose store and MLflow are SQLite files, or databases of PostgreSQL."""
    if request.param == "sqlite":
        yield request.getfixturevalue("tracked")
        return
    from orchestrator.tracking.client import forget_connections

    template = request.getfixturevalue("empty_mlflow_on_postgresql")
    server: Postgresql = request.getfixturevalue("postgresql")
    environ = {
        "IWM_DATABASE_URL": server.create("store"),
        "MLFLOW_TRACKING_URI": server.create("mlflow", like=template),
    }
    layout = Layout.of(tmp_path / "root", environ=environ)
    layout.root.mkdir()
    yield OnDisk(layout)
    forget_connections(layout.tracking_uri)
    server.drop("store", "mlflow")
