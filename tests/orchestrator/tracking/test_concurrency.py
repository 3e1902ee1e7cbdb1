"""Sixteen workers write, and several gatherers of two roots send to one MLflow at once: every point, and each once."""

import multiprocessing
import threading
from collections import Counter

import pytest

from iwm_core.events import Started, Step
from orchestrator.records import journal
from orchestrator.records.layout import Layout
from orchestrator.store.database import Store
from orchestrator.store.refresh import refresh
from orchestrator.tracking.client import Tracking, forget_connections
from orchestrator.tracking.gather import sync
from orchestrator.tracking.run_card import row
from orchestrator.trial.lifecycle import history
from tests.orchestrator.conftest import OnDisk

WORKERS = 16
STEPS = 20


@pytest.fixture(params=["sqlite", "postgresql"])
def roots(request, tmp_path):
    """Two roots with a store each, and one MLflow, which nobody has opened yet."""
    names, server = ("one", "two", "mlflow"), None
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in names]
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql")
        urls = [server.create(name) for name in names]
    *stores, mlflow = urls
    environ = {"MLFLOW_TRACKING_URI": mlflow}
    pairs = zip(names, stores, strict=False)
    yield [Layout.of(tmp_path / name, environ={**environ, "IWM_DATABASE_URL": url}) for name, url in pairs]
    forget_connections(mlflow)
    if server:
        server.drop(*names)


def gather(layout, written):
    """What `iwm serve` and `iwm sync` do, again and again, until everything is sent that was written."""
    with Store.open(layout.database_url) as store:
        is_last = False
        while not is_last or store.unsent():
            is_last = written.wait(0.1)
            refresh(layout, store)
            sync(layout, store)


def write(folders, written):
    """Sixteen journals grow, a line of each after the other."""
    writers = [OnDisk(Layout.of(".", environ={})).attempt(folder, [Started(t=1.0)]) for folder in folders]
    for step in range(1, STEPS + 1):
        for place, writer in enumerate(writers):
            writer.append(Step(step=step, metrics={"loss": 1 / step, "mrr": place / 16}, t=1.0 + step))
    for writer in writers:
        writer.close()
    written.set()


@pytest.mark.slow
def test_sixteen_workers_journals_are_gathered_at_once(roots):
    folders = [OnDisk(roots[place % 2]).trial(seed=place) for place in range(WORKERS)]
    spawn = multiprocessing.get_context("spawn")
    written = spawn.Event()
    gatherers = [spawn.Process(target=gather, args=(roots[place], written)) for place in (0, 1)]
    for gatherer in gatherers:
        gatherer.start()
    writer = threading.Thread(target=write, args=(folders, written))
    writer.start()
    gather(roots[0], written)
    for thing in (writer, *gatherers):
        thing.join()
    assert [gatherer.exitcode for gatherer in gatherers] == [0, 0]

    tracking = Tracking(roots[0])
    experiment_id = tracking.experiment("iwm").experiment_id
    runs = {run.data.tags["iwm.trial_id"]: run for run in tracking._client.search_runs([experiment_id])}
    assert len(runs) == WORKERS
    for folder in folders:
        points, _ = history(journal.read_journals(folder))
        assert len(points) == 2 * STEPS
        assert Counter(tracking.rows(runs[folder.id], keys=("loss", "mrr"))) == Counter(map(row, points))
