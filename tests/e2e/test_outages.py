"""MLflow's server comes and goes while a sweep runs: curves wait for it, and then nothing is missing."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from orchestrator.errors import TrackingError
from orchestrator.records import journal
from orchestrator.records.layout import Layout
from orchestrator.serving.command import Address, choose, server_environment
from orchestrator.serving.gathering import Gatherer
from orchestrator.serving.periodic import PeriodicTask
from orchestrator.serving.server import answers
from orchestrator.store.database import Store
from orchestrator.tracking.client import Tracking, open_client
from orchestrator.tracking.run_card import row
from orchestrator.trial.lifecycle import State, history
from tests.e2e.conftest import Iwm, until

OUTAGES = 5
STEPS = 1_000
"""Some twenty seconds of each of two trials: more than five outages take."""
SERVER = Path(__file__).parents[1] / "fakes" / "tracking_server.py"


@dataclass(frozen=True)
class Tracker:
    """MLflow's server, to be started and killed."""

    address: Address
    forking: "subprocess.Popen[str]"

    def start(self) -> int:
        """Returns once it answers."""
        assert self.forking.stdin
        assert self.forking.stdout
        print(file=self.forking.stdin, flush=True)
        pid = int(self.forking.stdout.readline())
        until(lambda: answers(self.address))
        return pid

    def kill(self, pid: int) -> None:
        """As a machine does that loses its power."""
        os.kill(pid, signal.SIGKILL)
        until(lambda: not answers(self.address))


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    """A server on a database of its own; it is not started yet."""
    address = choose("127.0.0.1", port=0)
    layout = Layout.of(tmp_path / "tracker", environ={})
    open_client(layout)
    forking = subprocess.Popen(
        [sys.executable, SERVER, str(address.port)],
        env=server_environment(layout, environ=os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with forking:
        yield Tracker(address, forking)
        os.killpg(forking.pid, signal.SIGKILL)


def test_a_server_that_is_killed_five_times_or_comes_late_has_every_value(
    iwm: Iwm, tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [trial["id"] for trial in iwm.json("submit", "pair", f"train.steps={STEPS}")["trials"]]
    layout = Layout.of(iwm.layout.root, environ={"MLFLOW_TRACKING_URI": tracker.address.url})
    with gathering(layout):
        for _ in range(OUTAGES):
            server, before = tracker.start(), sent(layout, ids)
            until(lambda before=before: sent(layout, ids) > before, every_s=0.3)
            assert State.RUNNING in {iwm.status(key).state for key in ids}
            tracker.kill(server)
        assert {trial["state"] for trial in iwm.end_of_sweep("pair")} == {"finished"}
        late = Layout.of(shutil.copytree(layout.root, tmp_path / "late"), environ={"IWM_STATE": str(tmp_path / "new")})
        late = replace(late, tracking_uri=layout.tracking_uri)
        with pytest.raises(TrackingError):
            Gatherer(late)()
        tracker.start()
        until(lambda: sent(layout, ids) == sum(map(Counter.total, journalled(layout, ids).values())))
    monkeypatch.setenv("IWM_EXPERIMENT", "late")
    with gathering(late):
        until(lambda: sent(late, ids) == sent(layout, ids))
    assert rows(layout, "iwm", ids) == rows(layout, "late", ids) == journalled(layout, ids)


@contextmanager
def gathering(layout: Layout) -> Iterator[None]:
    """The gatherer of `iwm serve`, at work while the block lasts."""
    ended, gatherer = threading.Event(), Gatherer(layout)
    task = PeriodicTask(gatherer, name="gatherer", every_s=0.3, ended=ended)
    task.start()
    yield
    ended.set()
    task.join()
    gatherer.close()


def sent(layout: Layout, ids: list[str]) -> int:
    """How many points MLflow has, as the gatherer has noted."""
    with Store.open(layout.database_url) as store:
        cursors = {key: store.shipment(key).sent_id for key in store.states(ids)}
        return sum(place <= cursor for key, cursor in cursors.items() for place, _ in store.points_after(key))


def journalled(layout: Layout, ids: list[str]) -> dict[str, Counter]:
    """Every value that a trial's files hold."""
    histories = {key: history(journal.read_journals(layout.trial(key)))[0] for key in ids}
    return {key: Counter(map(row, points)) for key, points in histories.items()}


def rows(layout: Layout, experiment: str, ids: list[str]) -> dict[str, Counter]:
    """Every value that MLflow holds of a trial, as often as it holds it."""
    client, tracking = open_client(layout), Tracking(layout)
    found = client.search_runs([tracking.experiment(experiment).experiment_id])
    assert sorted(run.data.tags["iwm.trial_id"] for run in found) == sorted(ids)
    return {run.data.tags["iwm.trial_id"]: Counter(tracking.rows(run, keys=run.data.metrics)) for run in found}
