"""Files to store: what is new is read, what is broken is named, and two readers at once do no harm."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from iwm_core.events import Started, Step
from orchestrator.records import journal
from orchestrator.records.scan import FileStats, file_stats
from orchestrator.store.database import Store
from orchestrator.store.refresh import Refreshed, read_trial, refresh
from orchestrator.trial.events import Cancelled
from orchestrator.trial.lifecycle import State, history
from tests.fakes.aged import age


@pytest.fixture
def store(on_disk):
    with Store.open(on_disk.layout.database_url) as store:
        yield store


def test_an_empty_root_is_nothing(on_disk, store):
    assert refresh(on_disk.layout, store) == Refreshed()


def test_everything_is_read_once(on_disk, store):
    record = on_disk.sweep("tiny", [0, 1])
    on_disk.undisturbed(on_disk.trial(seed=0))
    on_disk.resumed(on_disk.trial(seed=1))
    assert refresh(on_disk.layout, store) == Refreshed(sweeps=1, trials=2)
    assert refresh(on_disk.layout, store) == Refreshed(unchanged=2)
    results = store.results(record.id)
    assert results.record == record
    assert [trial.seed for trial in results.trials] == [0, 1]
    assert [len(trial.status.attempts) for trial in results.trials] == [1, 2]


def test_files_that_look_as_they_did_are_not_opened(on_disk, store, monkeypatch):
    folders = [on_disk.trial(seed=seed) for seed in range(3)]
    for folder in folders:
        on_disk.undisturbed(folder)
        age(folder)
    refresh(on_disk.layout, store)
    monkeypatch.setattr("orchestrator.store.refresh.file_stats", None)
    assert refresh(on_disk.layout, store) == Refreshed(unchanged=3)


def test_what_changes_in_settled_files_is_seen(on_disk, store):
    folder = on_disk.trial()
    writer = on_disk.attempt(folder, [Started(), Step(step=1, metrics={"loss": 1.0})])
    age(folder)
    refresh(on_disk.layout, store)
    writer.append(Step(step=2, metrics={"loss": 0.5}))
    writer.close()
    assert refresh(on_disk.layout, store) == Refreshed(trials=1)
    assert [point.step for point in store.points(folder.id)] == [1, 2]
    assert refresh(on_disk.layout, store) == Refreshed(unchanged=1)
    journal.record(folder, Cancelled(claim=0))
    refresh(on_disk.layout, store)
    assert store.states() == {folder.id: State.CANCELLED}


def test_a_glance_is_noted_once_the_files_have_settled(on_disk, store):
    folder = on_disk.trial()
    age(folder)
    (folder.control / ".aside").touch()
    refresh(on_disk.layout, store)
    before = store.known()[folder.id]
    assert before.glance == ""
    age(folder)
    assert refresh(on_disk.layout, store) == Refreshed(unchanged=1)
    assert store.known()[folder.id] == file_stats(folder)
    assert store.known()[folder.id].signature == before.signature


def test_a_glance_of_an_older_fold_does_not_hold(on_disk, store):
    folder = on_disk.trial()
    age(folder)
    refresh(on_disk.layout, store)
    now = file_stats(folder)
    store.put_glances({folder.id: FileStats(now.signature, f"1 {now.glance.partition(' ')[2]}")})
    refresh(on_disk.layout, store)
    assert store.known()[folder.id] == now


def test_what_is_stored_is_what_was_folded(on_disk, store):
    folder = on_disk.trial()
    on_disk.resumed(folder)
    refresh(on_disk.layout, store)
    folded = read_trial(folder, file_stats(folder))
    assert store.single_trials().trials[0].status == folded.status
    assert store.single_trials().trials[0].config == folded.config
    assert store.points(folder.id) == tuple(folded.points)


def test_a_resumed_trial_has_the_steps_of_its_twin(on_disk, store):
    twin, folder = on_disk.trial(seed=0), on_disk.trial(seed=1)
    on_disk.undisturbed(twin)
    on_disk.resumed(folder)
    refresh(on_disk.layout, store)
    places = [[(point.key, point.step) for point in store.points(key.id)] for key in (folder, twin)]
    assert sorted(places[0]) == sorted(places[1])
    assert len(set(places[0])) == len(places[0])


def test_new_lines_and_new_events_are_seen(on_disk, store):
    folder = on_disk.trial()
    refresh(on_disk.layout, store)
    assert store.states() == {folder.id: State.QUEUED}
    writer = on_disk.attempt(folder, [Started(), Step(step=1, metrics={"loss": 1.0})])
    refresh(on_disk.layout, store)
    assert store.states([folder.id, "unknown"]) == {folder.id: State.RUNNING}
    writer.append(Step(step=2, metrics={"loss": float("nan")}))
    writer.close()
    journal.record(folder, Cancelled(claim=0))
    refresh(on_disk.layout, store, trial_ids=[folder.id])
    assert store.states() == {folder.id: State.CANCELLED}
    assert [point.step for point in store.points(folder.id)] == [1, 2]


@pytest.mark.parametrize("content", ["{", "[]", "null", '{"id": "other"}', '{"id": "ID", "config": {"colour": "red"}}'])
def test_a_broken_trial_is_named_and_left_out(on_disk, store, caplog, content):
    good, bad = on_disk.trial(seed=0), on_disk.trial(seed=1)
    bad.value_file.write_text(content.replace("ID", bad.id))
    with caplog.at_level(logging.WARNING):
        done = refresh(on_disk.layout, store)
    assert done.broken == (bad.value_file,)
    assert str(bad.value_file) in caplog.text
    assert store.trial_ids() == [good.id]


def test_a_mended_file_is_read(on_disk, store):
    folder = on_disk.trial()
    text = folder.value_file.read_text()
    folder.value_file.write_text("{")
    refresh(on_disk.layout, store)
    folder.value_file.write_text(text)
    assert refresh(on_disk.layout, store) == Refreshed(trials=1)


def test_a_broken_sweep_is_named_and_left_out(on_disk, store):
    record = on_disk.sweep("tiny", [0])
    bad = on_disk.layout.sweep_file("broken-1")
    journal.replace_file(bad, json.dumps({"id": "broken-1"}).encode())
    assert refresh(on_disk.layout, store).broken == (bad,)
    assert store.sweep_records() == (record,)


def test_a_trial_whose_value_is_gone_is_forgotten(on_disk, store):
    folder = on_disk.trial()
    refresh(on_disk.layout, store)
    folder.value_file.unlink()
    assert refresh(on_disk.layout, store) == Refreshed(forgotten=1)
    assert store.trial_ids() == []


def test_many_trials_are_written_in_several_transactions(on_disk, store, monkeypatch):
    monkeypatch.setattr("orchestrator.store.refresh.BATCH", 2)
    monkeypatch.setattr("orchestrator.store.refresh.BATCH_POINTS", 30)
    for seed in range(5):
        on_disk.undisturbed(on_disk.trial(seed=seed))
    assert refresh(on_disk.layout, store) == Refreshed(trials=5)
    assert {len(store.points(key)) for key in store.trial_ids()} == {22}


def test_what_is_gone_from_disk_is_forgotten(on_disk, store):
    folder = on_disk.trial()
    on_disk.undisturbed(folder)
    record = on_disk.sweep("tiny", [0])
    refresh(on_disk.layout, store)
    folder.path.rename(on_disk.layout.root / "elsewhere")
    on_disk.layout.sweep_file(record.id).unlink()
    assert refresh(on_disk.layout, store).forgotten == 2
    assert (store.trial_ids(), store.points(folder.id), store.sweep_records()) == ([], (), ())


def test_a_folder_that_is_away_is_not_taken_for_empty(on_disk, store):
    folder = on_disk.trial()
    refresh(on_disk.layout, store)
    on_disk.layout.trials.rename(on_disk.layout.root / "unmounted")
    assert refresh(on_disk.layout, store).forgotten == 0
    assert store.trial_ids() == [folder.id]


def test_a_history_that_changed_in_what_it_had_is_replaced(on_disk, store):
    folder = on_disk.trial()
    on_disk.attempt(folder, [Started(), *(Step(step=step, metrics={"loss": 1.0}) for step in (1, 2, 3))]).close()
    refresh(on_disk.layout, store)
    cursor = store.points_after(folder.id)[-1][0]
    store.set_run(folder.id, "run")
    store.move_cursor(folder.id, cursor)
    size = len(folder.attempt(0).read_bytes().split(b"\n")[0]) + 1  # nothing behind `started` counts
    opening = Started(attempt=1, older_bytes={"0": size})
    on_disk.attempt(folder, [opening, Step(step=1, metrics={"loss": 2.0})]).close()
    refresh(on_disk.layout, store)
    assert [(point.step, point.value) for point in store.points(folder.id)] == [(1, 2.0)]
    shipment = store.shipment(folder.id)
    assert (shipment.run_is_stale, shipment.sent_id) == (True, 0)
    assert store.points_after(folder.id)[0][0] > cursor


def test_the_older_view_gives_way(on_disk, store):
    folder = on_disk.trial()
    old = read_trial(folder, file_stats(folder))
    on_disk.undisturbed(folder)
    refresh(on_disk.layout, store)
    assert not store.put_trials([old], known={})
    assert store.states() == {folder.id: State.FINISHED}


def test_two_refresh_at_once(on_disk, store):
    folders = [on_disk.trial(seed=seed) for seed in range(8)]
    for folder in folders:
        on_disk.resumed(folder)
    with Store.open(on_disk.layout.database_url) as other, ThreadPoolExecutor() as pool:
        list(pool.map(lambda one: refresh(on_disk.layout, one), [store, other, store, other]))
    for folder in folders:
        points, _ = history(journal.read_journals(folder))
        assert store.points(folder.id) == points


def test_a_rebuilt_store_gives_equal_results(on_disk, tmp_path):
    record = on_disk.sweep("tiny", range(3))
    on_disk.undisturbed(on_disk.trial(seed=0))
    on_disk.resumed(on_disk.trial(seed=1))
    on_disk.trial(seed=2)
    found = []
    for name in ("first", "second"):
        with Store.open(f"sqlite:///{tmp_path}/{name}.db") as store:
            refresh(on_disk.layout, store)
            found.append((store.results(record.id), [store.points(key) for key in store.trial_ids()]))
    assert found[0] == found[1]
