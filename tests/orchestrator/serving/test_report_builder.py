"""A report is made by a process of its own."""

import pytest

from orchestrator.serving.report_builder import ReportBuilder, ReportError
from orchestrator.store.database import Store
from orchestrator.store.refresh import refresh
from tests.e2e.conftest import until


@pytest.fixture
def press(on_disk):
    press = ReportBuilder(on_disk.layout)
    yield press
    press.close()


def taken(press):
    assert press.sweep_id
    return until(press.take)


def test_it_makes_what_report_makes(on_disk, press):
    record = on_disk.sweep("tiny", [0, 1])
    on_disk.undisturbed(on_disk.trial(seed=0))
    with Store.open(on_disk.layout.database_url) as store:
        refresh(on_disk.layout, store)
    press.begin(record.id)
    files = taken(press)
    assert {"report.md", "report.html", "report.csv"} <= set(files)
    assert b"tiny" in files["report.md"]
    assert not press.sweep_id
    assert press.take() is None


def test_why_it_could_not_is_its_last_line(press):
    press.begin("nothing")
    with pytest.raises(ReportError, match=r"report of sweep 'nothing' could not be made: .*no sweep 'nothing'"):
        taken(press)
    assert not press.sweep_id


def test_it_leaves_what_is_in_the_making(press):
    press.begin("nothing")
    press.close()
    assert not press.sweep_id
