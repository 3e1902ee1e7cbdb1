"""A gatherer's pass: what changed goes to MLflow, the rest is left alone; another process makes the reports."""

from contextlib import closing

import pytest

from orchestrator.errors import TrackingError
from orchestrator.records.layout import Layout
from orchestrator.serving.gathering import Gatherer, ReportBuilder, ReportError, marks
from orchestrator.store.database import Store
from orchestrator.store.refresh import refresh
from orchestrator.tracking.client import open_client
from tests.e2e.conftest import until


class Lab:
    """A gatherer, and its MLflow from outside."""

    def __init__(self, on_disk):
        self.disk = on_disk
        self.gatherer = Gatherer(on_disk.layout)

    def runs(self, experiment):
        client = open_client(self.disk.layout)
        found = client.get_experiment_by_name(experiment)
        return client.search_runs([found.experiment_id]) if found else []

    def passes_until_reported(self):
        """Goes on until nothing is in the making."""

        def is_done():
            self.gatherer()
            return not self.gatherer.report

        until(is_done)


@pytest.fixture
def lab(tracked_anywhere):
    lab = Lab(tracked_anywhere)
    yield lab
    lab.gatherer.close()


def test_metrics_and_reports_arrive_and_once_is_enough(lab):
    lab.disk.sweep("tiny", [0, 1])
    lab.disk.undisturbed(lab.disk.trial(seed=0))
    assert not lab.gatherer()
    assert [run.info.status for run in lab.runs("iwm")] == ["FINISHED"]
    assert lab.gatherer.report
    lab.passes_until_reported()
    (report,) = lab.runs("iwm-reports")
    assert report.data.tags["iwm.sweep"] == "tiny"
    lab.gatherer()
    assert not lab.gatherer.report

    lab.disk.undisturbed(lab.disk.trial(seed=1))
    lab.gatherer()
    assert len(lab.runs("iwm")) == 2
    assert not lab.gatherer.report, "a report rests before it is made again"


def test_what_does_not_fit_into_a_pass_is_waiting(lab):
    lab.disk.undisturbed(lab.disk.trial())
    lab.gatherer._ended = lambda: True
    assert lab.gatherer()
    assert lab.runs("iwm") == []


def test_mlflow_out_of_reach_loses_nothing(lab):
    lab.disk.undisturbed(lab.disk.trial())
    environ = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    away = Gatherer(Layout.of(lab.disk.layout.root, environ=environ))
    with pytest.raises(TrackingError):
        away()
    lab.gatherer()
    assert len(lab.runs("iwm")) == 1


def test_databases_that_were_deleted_are_made_again(tracked):
    lab = Lab(tracked)
    lab.disk.undisturbed(lab.disk.trial())
    lab.gatherer()
    for path in [*lab.disk.layout.state.glob("*.db"), *lab.disk.layout.state.glob("*.db-*")]:
        path.unlink()
    lab.gatherer()
    assert len(lab.runs("iwm")) == 1


def test_a_report_is_due_when_a_trial_changes_its_state(on_disk):
    def now():
        with Store.open(on_disk.layout.database_url) as store:
            refresh(on_disk.layout, store)
            return marks(store)

    on_disk.layout.root.mkdir(parents=True)
    record = on_disk.sweep("tiny", [0, 1])
    folders = [on_disk.trial(seed) for seed in (0, 1)]
    assert now() == {}
    on_disk.undisturbed(folders[0])
    first = now()
    assert first.keys() == {record.id}
    assert now() == first
    on_disk.undisturbed(folders[1])
    assert now() != first


def test_the_builder_makes_what_report_makes(on_disk):
    record = on_disk.sweep("tiny", [0, 1])
    on_disk.undisturbed(on_disk.trial(seed=0))
    with Store.open(on_disk.layout.database_url) as store:
        refresh(on_disk.layout, store)
    with closing(ReportBuilder(on_disk.layout, record.id)) as report:
        until(lambda: report.is_done)
        files = report.files()
    assert {"report.md", "report.html", "report.csv"} <= set(files)
    assert b"tiny" in files["report.md"]


def test_a_report_that_cannot_be_made_is_an_error_with_the_last_line_of_its_process(on_disk):
    with closing(ReportBuilder(on_disk.layout, "nothing")) as report:
        until(lambda: report.is_done)
        with pytest.raises(ReportError) as caught:
            report.files()
    assert caught.value.value == "nothing"
    assert "no sweep 'nothing'" in str(caught.value)


def test_a_report_that_is_being_made_can_be_abandoned(on_disk):
    report = ReportBuilder(on_disk.layout, "nothing")
    report.close()
    assert report.is_done
