"""A status is folded again only when a file changed, and a folder is opened only when it may have."""

import os
import shutil

import pytest

from iwm_core.events import Preempted, Started, Step
from orchestrator.records import journal
from orchestrator.records.scan import (
    NEVER,
    SETTLED_S,
    Census,
    file_stats,
    is_unchanged,
    read_outline,
    read_status,
    trial_ids,
)
from orchestrator.trial.events import Cancelled, Claimed, Lost
from orchestrator.trial.lifecycle import State
from tests.fakes.aged import age


def test_a_change_is_seen(on_disk):
    folder = on_disk.trial()
    census = Census(on_disk.layout)
    assert census.look()[folder.id].state is State.QUEUED
    assert census.status(folder.id) is census.status(folder.id)
    before = file_stats(folder).signature
    on_disk.attempt(folder, [Started()]).close()
    assert file_stats(folder).signature != before
    assert census.look()[folder.id].state is State.RUNNING


def test_folders_without_a_trial_do_not_count(on_disk):
    assert trial_ids(on_disk.layout) == []
    folder = on_disk.trial()
    (on_disk.layout.trials / "half-made").mkdir()
    assert trial_ids(on_disk.layout) == [folder.id]


@pytest.fixture
def settled(on_disk):
    """A running trial that nobody has touched for a while."""
    folder = on_disk.trial()
    on_disk.attempt(folder, [Started(), Step(step=1)]).close()
    age(folder)
    return folder


def appended(folder):
    with folder.attempt(0).open("ab") as file:
        file.write(b"\n")


CHANGES = {
    "a journal grew": appended,
    "a claim": lambda folder: journal.claim(folder, Claimed(claim=1)),
    "an event": lambda folder: journal.record(folder, Cancelled()),
    "an attempt": lambda folder: folder.attempt(1).touch(),
    "a journal is gone": lambda folder: folder.attempt(0).unlink(),
    "all journals are gone": lambda folder: shutil.rmtree(folder.journal),
    "the trial is gone": lambda folder: shutil.rmtree(folder.path),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_glance_sees_every_change(settled, change):
    glance = file_stats(settled).glance
    assert is_unchanged(str(settled.path), glance)
    CHANGES[change](settled)
    assert not is_unchanged(str(settled.path), glance)


def test_a_folder_that_was_touched_a_moment_ago_may_change_within_the_same_tick(settled):
    touched_s = 1_700_000_000.0
    os.utime(settled.journal, (touched_s, touched_s))
    assert file_stats(settled, now_s=touched_s + SETTLED_S - 1).glance == NEVER
    assert file_stats(settled, now_s=touched_s - 3600).glance == NEVER  # the file system's clock is ahead of ours
    assert file_stats(settled, now_s=touched_s + SETTLED_S + 1).glance != NEVER
    assert not is_unchanged(str(settled.path), NEVER)


def test_a_folder_older_than_its_files_is_never_trusted(settled):
    os.utime(settled.claim(0), (1_600_000_000, 1_600_000_000))
    assert file_stats(settled).glance == NEVER


def test_a_trial_that_nobody_claimed_is_settled(settled):
    shutil.rmtree(settled.control)
    shutil.rmtree(settled.journal)
    assert is_unchanged(str(settled.path), file_stats(settled).glance)


def test_the_state_is_the_status_without_its_steps(on_disk):
    folder = on_disk.trial()
    on_disk.resumed(folder)
    assert read_outline(folder).state is read_status(folder).state is State.FINISHED
    other = on_disk.trial(seed=1)
    on_disk.attempt(other, [Started(), Step(step=1), Preempted(step=1)]).close()
    assert read_outline(other).state is read_status(other).state is State.PREEMPTED
    journal.record(other, Lost(attempt=0))
    assert read_outline(other).state is read_status(other).state
