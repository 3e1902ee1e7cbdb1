"""Real journals to a real MLflow: one run per trial, one value per (metric, step), whatever happened in between."""

import math
import shutil
import sqlite3

import pytest

from iwm_core.config import DataConfig
from iwm_core.events import Preempted, Started, Step
from orchestrator.errors import TrackingError, UnknownSweepError
from orchestrator.host.locks import holding
from orchestrator.records import journal
from orchestrator.records.layout import Layout
from orchestrator.store.database import Store
from orchestrator.store.refresh import refresh
from orchestrator.tracking import gather
from orchestrator.tracking.client import Tracking, open_client
from orchestrator.tracking.gather import Synced, attach_report, rebuild, sync
from orchestrator.tracking.links import view, view_tag
from orchestrator.trial.events import Cancelled, Claimed

METRICS = ("loss", "images_per_s", "mrr", "mrr_floor")


class Lab:
    """A root, its store and its MLflow, looked at from outside."""

    def __init__(self, on_disk):
        self.disk = on_disk
        self.layout = on_disk.layout
        self.store = Store.open(on_disk.layout.database_url)
        self.mlflow = open_client(on_disk.layout)

    def sync(self, **options):
        refresh(self.layout, self.store)
        return sync(self.layout, self.store, **options)

    def runs(self, experiment="iwm"):
        """The active runs by trial id; fails where a trial has two."""
        (found_experiment,) = self.mlflow.search_experiments(filter_string=f"name = '{experiment}'")
        found = self.mlflow.search_runs([found_experiment.experiment_id])
        by_trial = {run.data.tags["iwm.trial_id"]: run for run in found}
        assert len(by_trial) == len(found)
        return by_trial

    def run(self, folder):
        return self.runs()[folder.id]

    def curves(self, folder):
        """Each metric's (step, value, ms), every row that MLflow holds."""
        run_id = self.run(folder).info.run_id
        histories = {key: self.mlflow.get_metric_history(run_id, key) for key in METRICS}
        return {
            key: sorted((m.step, repr(m.value), m.timestamp) for m in rows) for key, rows in histories.items() if rows
        }


@pytest.fixture
def lab(tracked_anywhere):
    lab = Lab(tracked_anywhere)
    yield lab
    lab.store.close()


@pytest.fixture
def lab_of_files(tracked):
    """Databases that can be deleted or copied as files."""
    lab = Lab(tracked)
    yield lab
    lab.store.close()


def steps(curves):
    return {key: [step for step, *_ in rows] for key, rows in curves.items()}


def test_a_trial_is_one_run_with_the_journals_own_times(lab):
    lab.disk.sweep("tiny", [3])
    folder = lab.disk.trial(seed=3)
    lab.disk.undisturbed(folder)
    assert lab.sync() == Synced(trials=1, points=22)
    run = lab.run(folder)
    t0 = int(lab.disk.t0 * 1000)
    assert (run.info.status, run.info.start_time, run.info.end_time) == ("FINISHED", t0, t0 + 102_000)
    assert run.info.run_name == "seed=3"
    assert run.data.params["seed"] == "3"
    assert run.data.params["optim.lr"] == "0.003"
    expected = {"iwm.sweep": "tiny", "axis.seed": "3", "commit": "c0ffee", "state": "finished", "identity": "exact"}
    assert expected.items() <= run.data.tags.items()
    assert lab.curves(folder)["loss"] == sorted((step, repr(1 / step), t0 + step * 1000) for step in range(10, 101, 10))
    assert lab.mlflow.get_experiment("1").artifact_location == (lab.layout.artifacts / "iwm").as_uri()


def test_a_resumed_trial_has_its_twins_steps_each_once(lab):
    twin, folder = lab.disk.trial(seed=0), lab.disk.trial(seed=1)
    lab.disk.undisturbed(twin)
    lab.disk.resumed(folder)
    lab.sync()
    assert steps(lab.curves(folder)) == steps(lab.curves(twin))
    for rows in steps(lab.curves(folder)).values():
        assert len(set(rows)) == len(rows)
    assert lab.run(folder).data.tags["attempts"] == "2"


def test_a_trial_is_followed_through_kill_and_resume(lab):
    folder = lab.disk.trial()
    lab.sync()
    assert lab.runs() == {}
    lines = [Step(step=step, metrics={"loss": 1 / step}, t=20.0 + step) for step in range(1, 7)]
    writer = lab.disk.attempt(folder, [Started(t=20.0), *lines[:2]])
    lab.sync()
    assert (lab.run(folder).info.status, steps(lab.curves(folder))) == ("RUNNING", {"loss": [1, 2]})
    for event in (*lines[2:4], Preempted(step=4, t=25.0)):
        writer.append(event)
    writer.close()
    lab.sync()
    assert lab.run(folder).info.status == "SCHEDULED"
    opening = Started(attempt=1, t=50.0, resumed_from_step=2, older_bytes=journal.journal_sizes(folder))
    again = [Step(step=step, metrics={"loss": 1 / step}, t=50.0 + step) for step in range(3, 7)]
    lab.disk.attempt(folder, [opening, *again]).close()
    lab.sync()
    assert lab.run(folder).info.status == "RUNNING"
    assert [(step, ms) for step, _, ms in lab.curves(folder)["loss"]] == [
        (1, 21_000),
        (2, 22_000),
        (3, 23_000),
        (4, 24_000),
        (5, 55_000),
        (6, 56_000),
    ]
    journal.record(folder, Cancelled(claim=0))
    lab.sync()
    run = lab.run(folder)
    assert (run.info.status, run.info.start_time, run.info.end_time) == ("KILLED", 20_000, 56_000)


def test_sending_twice_changes_nothing(lab):
    folder = lab.disk.trial()
    lab.disk.resumed(folder)
    lab.sync()
    before = (lab.run(folder).to_dictionary(), lab.curves(folder))
    assert lab.sync() == Synced()
    lab.store.move_cursor(folder.id, 0)  # as after a crash between a batch and its note
    lab.store.mark_sent(folder.id, "")
    assert lab.sync().points == 22
    assert (lab.run(folder).to_dictionary(), lab.curves(folder)) == before


def test_both_databases_can_be_deleted(lab_of_files):
    lab = lab_of_files
    record = lab.disk.sweep("tiny", [0, 1])
    folders = [lab.disk.trial(seed=seed) for seed in (0, 1)]
    lab.disk.undisturbed(folders[0])
    lab.disk.resumed(folders[1])
    lab.sync()
    before = (lab.store.results(record.id), [lab.curves(folder) for folder in folders])
    lab.store.close()
    for file in lab.layout.state.glob("*.db*"):
        file.unlink()
    lab.store = Store.open(lab.layout.database_url)
    assert rebuild(lab.layout, lab.store).points == 44
    lab.mlflow = open_client(lab.layout)
    assert (lab.store.results(record.id), [lab.curves(folder) for folder in folders]) == before


def test_a_rebuilt_store_finds_its_runs_and_what_they_lack(lab):
    folder = lab.disk.trial()
    writer = lab.disk.attempt(
        folder, [Started(t=1.0), Step(step=1, metrics={"loss": math.nan, "mrr": math.inf}, t=2.0)]
    )
    lab.sync()
    run_id = lab.run(folder).info.run_id
    writer.append(Step(step=2, metrics={"loss": -math.inf}, t=3.0))
    writer.close()
    assert rebuild(lab.layout, lab.store).points == 1
    assert lab.run(folder).info.run_id == run_id
    assert steps(lab.curves(folder)) == {"loss": [1, 2], "mrr": [1]}
    assert lab.curves(folder)["loss"][0][1] == "nan"


def disowned(lab, folder):
    """Two values are sent, then a newer attempt says that they were never read."""
    lab.disk.attempt(
        folder, [Started(t=1.0), *(Step(step=s, metrics={"loss": 1.0}, t=1.0 + s) for s in (1, 2))]
    ).close()
    lab.sync()
    size = len(folder.attempt(0).read_bytes().split(b"\n")[0]) + 1
    opening = Started(attempt=1, t=9.0, older_bytes={"0": size})
    lab.disk.attempt(folder, [opening, Step(step=1, metrics={"loss": 2.0}, t=10.0)]).close()


@pytest.mark.parametrize("forgotten", [False, True], ids=["known run", "store rebuilt"])
def test_values_that_were_disowned_make_way_for_a_new_run(lab, forgotten):
    folder = lab.disk.trial()
    disowned(lab, folder)
    run_id = lab.run(folder).info.run_id
    if forgotten:
        rebuild(lab.layout, lab.store)
    else:
        lab.sync()
    assert lab.run(folder).info.run_id != run_id
    assert lab.curves(folder) == {"loss": [(1, "2.0", 10_000)]}
    assert lab.sync() == Synced()


def test_a_run_or_experiment_that_was_deleted_in_mlflow_comes_back(lab):
    folder = lab.disk.trial()
    writer = lab.disk.attempt(folder, [Started(t=1.0), Step(step=1, metrics={"loss": 1.0}, t=2.0)])
    lab.sync()
    lab.mlflow.delete_run(lab.run(folder).info.run_id)
    writer.append(Step(step=2, metrics={"loss": 0.5}, t=3.0))
    lab.sync()
    assert steps(lab.curves(folder)) == {"loss": [1, 2]}
    lab.mlflow.delete_experiment("1")
    writer.append(Step(step=3, metrics={"loss": 0.4}, t=4.0))
    writer.close()
    lab.sync()
    assert steps(lab.curves(folder)) == {"loss": [1, 2, 3]}


def test_another_mlflow_gets_everything(lab, empty_mlflow, monkeypatch):
    folder = lab.disk.trial()
    lab.disk.undisturbed(folder)
    lab.sync()
    monkeypatch.setenv("IWM_EXPERIMENT", "another")
    assert lab.sync().points == 22
    assert list(lab.runs("another")) == [folder.id]
    assert lab.sync() == Synced()


def test_an_mlflow_that_has_the_experiment_already_gets_everything_too(lab_of_files, tmp_path, empty_mlflow):
    lab = lab_of_files
    folder = lab.disk.trial()
    lab.disk.undisturbed(folder)
    lab.sync()
    shutil.copy(empty_mlflow, tmp_path / "other.db")
    other = Layout.of(lab.layout.root, environ={"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/other.db"})
    Tracking(other).experiment("iwm")  # somebody else's work, or a sender that was killed right here
    assert sync(other, lab.store).points == 22
    assert lab.sync() == Synced(trials=1)  # back at the first, which has it all
    assert steps(lab.curves(folder))["loss"] == list(range(10, 101, 10))


def test_a_new_database_in_the_old_ones_place_gets_everything(lab_of_files, empty_mlflow):
    lab = lab_of_files
    folder = lab.disk.trial()
    lab.disk.undisturbed(folder)
    lab.sync()
    for file in lab.layout.state.glob("mlflow.db*"):
        file.unlink()
    shutil.copy(empty_mlflow, lab.layout.state / "mlflow.db")
    assert Tracking(lab.layout).experiment("iwm").experiment_id == "1"  # as before, and then the sender was killed
    assert lab.sync().points == 22


def test_two_roots_that_hold_the_same_trial_have_a_run_each(lab, tmp_path):
    folder = lab.disk.trial()
    lab.disk.undisturbed(folder)
    lab.sync()
    other = Layout.of(tmp_path / "other", environ={"MLFLOW_TRACKING_URI": lab.layout.tracking_uri})
    twin = other.trial(folder.id)
    journal.replace_file(twin.value_file, folder.value_file.read_bytes())
    journal.claim(twin, Claimed(claim=0))
    lab.disk.attempt(twin, [Started(t=5.0), Step(step=10, metrics={"loss": 0.1}, t=6.0)]).close()
    with Store.open(other.database_url) as store:
        refresh(other, store)
        assert sync(other, store).points == 1
    assert [run.info.start_time for run in lab.mlflow.search_runs(["1"])] == [int(lab.disk.t0 * 1000), 5_000]


def test_a_new_sweep_puts_its_tags_on_finished_trials(lab):
    folder = lab.disk.trial(seed=0)
    lab.disk.undisturbed(folder)
    lab.sync()
    record = lab.disk.sweep("late", [0])
    assert lab.sync() == Synced(trials=1)
    assert lab.run(folder).data.tags["iwm.sweep.late"] == record.id
    assert lab.run(folder).info.run_name == "seed=0"


def test_a_sweep_has_a_saved_view_which_is_a_persons_from_then_on(lab):
    record = lab.disk.sweep("tiny", [0])
    lab.disk.trial(seed=0)
    lab.sync()
    tag = view_tag(record.id)
    assert lab.mlflow.get_experiment("1").tags[tag] == view(record)
    lab.mlflow.set_experiment_tag("1", tag, "changed")
    lab.disk.undisturbed(lab.layout.trial(record.trials[0].id))
    lab.sync()
    assert lab.mlflow.get_experiment("1").tags[tag] == "changed"


def test_what_a_trial_drew_is_among_its_artifacts(lab_of_files, tmp_path):
    lab = lab_of_files
    folder = lab.disk.trial()
    lab.disk.undisturbed(folder)
    folder.pictures.mkdir()
    (folder.pictures / "mrr.png").write_bytes(b"drawn")
    (tmp_path / "secret.png").write_bytes(b"not ours")
    (folder.pictures / "linked.png").symlink_to(tmp_path / "secret.png")
    lab.sync()
    found = lab.mlflow.list_artifacts(lab.run(folder).info.run_id, "pictures")
    assert [file.path for file in found] == ["pictures/mrr.png"]


def test_an_endless_setting_is_cut_for_mlflow(lab):
    folder = lab.disk.trial(data=DataConfig(dataset="x" * 10_000_000))
    lab.disk.undisturbed(folder)
    assert lab.sync().trials == 1
    assert len(lab.run(folder).data.params["data.dataset"]) <= 6_000


def test_more_points_than_a_batch(lab):
    folder = lab.disk.trial()
    lines = [Step(step=step, metrics={"loss": 1.0, "mrr": 0.5}, t=2.0 + step) for step in range(1, 1251)]
    lab.disk.attempt(folder, [Started(t=1.0), *lines]).close()
    assert lab.sync(limit_s=0.0) == Synced(left=1)
    assert lab.sync().points == 2500
    assert steps(lab.curves(folder)) == {"loss": list(range(1, 1251)), "mrr": list(range(1, 1251))}


def test_what_mlflow_refuses_does_not_hold_up_the_rest(lab, caplog):
    good, bad = sorted((lab.disk.trial(seed=seed) for seed in (0, 1)), key=lambda folder: folder.id, reverse=True)
    lab.disk.undisturbed(good)
    lab.disk.attempt(bad, [Started(t=1.0), Step(step=1, metrics={"loss": 1.0}, t=-2.0)]).close()
    done = lab.sync()
    assert (done.trials, done.refused) == (1, (bad.id,))
    assert bad.id in caplog.text
    assert good.id in lab.runs()


def test_one_sender_at_a_time(lab):
    with holding(lab.layout.gather_lock) as alone:
        assert alone
        assert lab.sync() == Synced(busy=True)


def test_an_unreachable_server_is_a_tracking_error(tracked, tmp_path):
    layout = Layout.of(tmp_path / "root", environ={"MLFLOW_TRACKING_URI": "http://anna:s3cret@127.0.0.1:9"})
    tracked.undisturbed(tracked.trial())
    with Store.open(layout.database_url) as store:
        for verb in (sync, rebuild):
            with pytest.raises(TrackingError) as caught:
                verb(layout, store)
            assert caught.value.value == "http://anna:***@127.0.0.1:9"
            assert "s3cret" not in str(caught.value)
        assert len(store.trial_ids()) == 1  # rebuilt nevertheless


def test_a_report_is_one_run_beside_the_trials(lab, tmp_path):
    record = lab.disk.sweep("tiny", [0])
    lab.disk.undisturbed(lab.disk.trial(seed=0))
    lab.sync()
    first = attach_report(lab.layout, lab.store, record.id, {"report.md": b"# Old", "figures/a.png": b"png"})
    again = attach_report(lab.layout, lab.store, record.id, {"report.md": b"# New"})
    assert first == again
    assert len(lab.runs()) == 1
    run = lab.mlflow.get_run(first)
    assert (run.info.run_name, run.info.status) == (record.id, "FINISHED")
    assert run.data.tags["mlflow.note.content"] == "# New"
    folder = lab.layout.artifacts / "iwm-reports" / first / "artifacts"
    assert (folder / "report.md").read_bytes() == b"# New"
    assert (folder / "figures" / "a.png").read_bytes() == b"png"


def test_a_long_report_is_cut_with_a_word_about_it():
    assert gather.cut("short", 100) == "short"
    assert len(gather.cut("x" * 9000, 8000)) == 8000
    assert gather.cut("x" * 9000, 8000).endswith("the full report is among the artifacts)")


def test_a_report_of_an_unknown_sweep_is_refused(lab):
    with pytest.raises(UnknownSweepError) as caught:
        attach_report(lab.layout, lab.store, "nothing", {})
    assert caught.value.value == "nothing"


@pytest.mark.parametrize(
    ("synced", "words"),
    [
        (Synced(trials=2, points=44), {"44", "2"}),
        (Synced(busy=True), {"another"}),
        (Synced(left=3, refused=("trial-a",)), {"0", "3", "trial-a"}),
    ],
)
def test_what_was_done_is_one_line(synced, words):
    assert words <= set(synced.sentence().split())
    assert "\n" not in synced.sentence()
    assert set(synced.to_dict()) == {"sent", "trials", "left", "refused", "busy"}


def test_mlflows_database_uses_write_ahead_logging(lab_of_files):
    lab = lab_of_files
    Tracking(lab.layout)
    database = sqlite3.connect(lab.layout.state / "mlflow.db")
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()
