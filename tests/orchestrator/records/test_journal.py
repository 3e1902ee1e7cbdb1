"""Files that only grow, and readers that forgive a crash."""

import errno
import math
import os
import resource

import pytest

from iwm_core.events import Finished, Started, Step
from orchestrator.records import journal
from orchestrator.records.journal import Journal, read_control, read_journals
from orchestrator.records.layout import TrialFolder
from orchestrator.trial.events import Cancelled, Claimed, Submitted


@pytest.fixture
def folder(tmp_path):
    return TrialFolder(tmp_path / "trial")


def write(folder, number, *events):
    writer = Journal(folder.attempt(number), attempt=number)
    for event in events:
        writer.append(event)
    writer.close()


def test_events_come_back_stamped(folder):
    write(folder, 0, Started(attempt=0), Step(step=1, metrics={"loss": float("nan")}), Finished(step=1))
    (started, step, finished) = read_journals(folder)[0]
    assert started.t > 1e9
    assert isinstance(step, Step)
    assert math.isnan(step.metrics["loss"])
    assert finished.name == "finished"


def test_an_attempt_has_one_writer(folder):
    write(folder, 0)
    with pytest.raises(FileExistsError):
        Journal(folder.attempt(0), attempt=0)


@pytest.mark.parametrize("torn", [b'{"t": 1, "event": "st', b"\x00\x00\x00", b"[]", b"null", b'{"no": "event"}'])
def test_a_torn_last_line_is_skipped(folder, torn):
    write(folder, 0, Started(), Step(step=1))
    with folder.attempt(0).open("ab") as file:
        file.write(torn)
    assert [event.name for event in read_journals(folder)[0]] == ["started", "step"]


@pytest.mark.parametrize("room", [0, 20])
def test_a_disk_that_takes_no_whole_line_is_named(folder, room):
    writer = Journal(folder.attempt(0), attempt=0)
    writer.append(Started())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (folder.attempt(0).stat().st_size + room, hard))
    try:
        with pytest.raises(OSError) as caught:
            writer.append(Step(step=1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        writer.close()
    assert caught.value.filename == str(folder.attempt(0))
    assert [event.name for event in read_journals(folder)[0]] == ["started"]


def test_every_torn_prefix_of_a_journal_can_be_read(folder):
    write(folder, 0, Started(), Step(step=1, metrics={"loss": 0.5}))
    raw = folder.attempt(0).read_bytes()
    counts = [len(list(journal.parse(raw[:end]))) for end in range(len(raw) + 1)]
    assert counts == sorted(counts)
    assert counts[-1] == 2


def test_an_unknown_event_is_ignored(folder):
    write(folder, 0, Started())
    with folder.attempt(0).open("ab") as file:
        file.write(b'{"t": 1, "event": "from_the_future", "x": 1}\n')
    assert len(read_journals(folder)[0]) == 1


def test_what_an_older_attempt_writes_after_a_newer_one_started_is_not_read(folder):
    old = Journal(folder.attempt(0), attempt=0)
    old.append(Started(attempt=0))
    old.append(Step(step=1))
    write(folder, 1, Started(attempt=1, older_bytes=journal.journal_sizes(folder)))
    old.append(Step(step=2))
    old.close()
    assert [event.name for event in read_journals(folder)[0]] == ["started", "step"]


def test_of_two_claims_with_one_number_one_wins(folder):
    assert journal.claim(folder, Claimed(claim=0, token="mine"))
    assert not journal.claim(folder, Claimed(claim=0, token="yours"))
    assert [event.token for event in read_control(folder) if isinstance(event, Claimed)] == ["mine"]


def test_control_events_are_ordered_by_claim_and_sequence(folder):
    journal.claim(folder, Claimed(claim=0))
    journal.claim(folder, Claimed(claim=1))
    journal.record(folder, Submitted(claim=0, job_id="a"))
    journal.record(folder, Cancelled(claim=0))
    journal.record(folder, Submitted(claim=1, job_id="b"))
    names = [(event.claim, event.name) for event in read_control(folder)]
    assert names == [(0, "claimed"), (0, "submitted"), (0, "cancelled"), (1, "claimed"), (1, "submitted")]


def test_no_temporary_file_stays(folder):
    journal.claim(folder, Claimed(claim=0))
    journal.claim(folder, Claimed(claim=0))
    journal.replace_file(folder.value_file, b"{}")
    assert {path.name for path in folder.path.rglob("*") if path.is_file()} == {"claim-0000.json", "trial.json"}


def test_a_short_write_is_an_error_and_costs_no_other_line(folder, monkeypatch):
    writer = Journal(folder.attempt(0), attempt=0)
    writer.append(Started())
    write_all = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write_all(file, data[:9]))
    with pytest.raises(OSError) as caught:
        writer.append(Step(step=1))
    monkeypatch.undo()
    assert caught.value.errno == errno.ENOSPC
    writer.append(Step(step=2))
    writer.close()
    assert [getattr(event, "step", None) for event in read_journals(folder)[0]] == [None, 2]
