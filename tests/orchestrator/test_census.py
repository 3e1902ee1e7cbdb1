"""A status is folded again only when a file changed."""

from iwm_core.events import Started
from orchestrator.census import Census, signature, trial_ids
from orchestrator.lifecycle import State


def test_a_change_is_seen(on_disk):
    folder = on_disk.trial()
    census = Census(on_disk.layout)
    assert census.look()[folder.id].state is State.QUEUED
    assert census.status(folder.id) is census.status(folder.id)
    before = signature(folder)
    on_disk.attempt(folder, [Started()]).close()
    assert signature(folder) != before
    assert census.look()[folder.id].state is State.RUNNING


def test_folders_without_a_trial_do_not_count(on_disk):
    assert trial_ids(on_disk.layout) == []
    folder = on_disk.trial()
    (on_disk.layout.trials / "half-made").mkdir()
    assert trial_ids(on_disk.layout) == [folder.id]
