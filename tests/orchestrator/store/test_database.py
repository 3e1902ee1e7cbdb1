"""The store on real SQLite files: what is put in comes out, and what cannot be used is said in one sentence."""

import math
import multiprocessing
import sqlite3
import sys

import pytest
from sqlalchemy import MetaData, inspect, text, update

from orchestrator.errors import DatabaseError, UnknownSweepError, UnknownTrialError
from orchestrator.host.redact import shown
from orchestrator.records.scan import FileStats
from orchestrator.store.database import SINGLE, Store
from orchestrator.store.engine import open_engine
from orchestrator.store.rows import Folded, digests
from orchestrator.store.tables import VERSION, iwm_schema, metadata
from orchestrator.trial.lifecycle import Attempt, Point, State, TrialStatus
from orchestrator.trial.sweep import Member, SweepRecord


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/deep/down/iwm.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    """One suite over every backend."""
    url = f"sqlite:///{tmp_path}/iwm.db" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    with Store.open(url) as store:
        store.reset()
        yield store
        metadata.drop_all(store._engine)  # whatever a test made of them


def record(name="tiny", trials=("a", "b"), t=1.0):
    members = tuple(Member(key, {"seed": place, "note": None}) for place, key in enumerate(trials))
    return SweepRecord(id=f"{name}-1", name=name, axes=("seed",), t=t, trials=members, fixed=("x=1",), about="why")


def history(*values, key="loss", attempt=0):
    return [
        Point(key=key, step=step, value=value, t=step + 0.5, attempt=attempt) for step, value in enumerate(values, 1)
    ]


def folded(key="a", points=(), signature="s1", state=State.RUNNING):
    status = TrialStatus(state=state, attempts=(Attempt(number=0, error="it's"),), metrics={"loss": math.inf})
    return Folded(key, {"seed": 0, "lr": 0.1}, status, points, FileStats(signature))


def put(store, trial, seen=None):
    """Write a trial of which the writer has `seen` this signature (None: no such trial)."""
    return store.put_trials([trial], known={trial.id: FileStats(seen)} if seen else {})


def values(store, key="a"):
    return [(point.step, point.value) for point in store.points(key)]


def test_a_sweep_comes_back(store):
    store.put_sweep(record())
    assert store.sweep_records() == (record(),)
    assert store.sweep_records("tiny") == store.sweep_records("tiny-1") == (record(),)
    assert store.sweep_records("other") == ()
    assert store.sweep_ids() == {"tiny-1"}


def test_the_same_sweep_twice_is_one(store):
    store.put_sweep(record())
    store.put_sweep(record(t=2.0))
    assert store.sweep_records() == (record(t=1.0),)


def test_sweeps_are_listed_oldest_first(store):
    for name, t in (("late", 3.0), ("early", 1.0)):
        store.put_sweep(record(name, t=t))
    assert [found.name for found in store.sweep_records()] == ["early", "late"]


def test_results_are_in_the_order_of_the_sweep_without_what_is_unknown(store):
    store.put_sweep(record(trials=("b", "gone", "a")))
    for key in ("a", "b", "single"):
        put(store, folded(key))
    results = store.results("tiny-1")
    assert [(trial.id, trial.overrides["seed"]) for trial in results.trials] == [("b", 0), ("a", 2)]
    assert results.trials[0].config == {"seed": 0, "lr": 0.1}
    assert results.trials[0].status == folded().status
    single = store.single_trials()
    assert (single.record, [trial.id for trial in single.trials]) == (SINGLE, ["single"])


def test_results_again_reads_what_changed_and_keeps_the_rest(store):
    store.put_sweep(record(trials=("a", "b", "c")))
    for key in ("a", "b"):
        put(store, folded(key))
    before = store.results("tiny-1")
    assert [trial.id for trial in before.trials] == ["a", "b"]
    put(store, folded("b", state=State.FINISHED, signature="s2"), seen="s1")
    put(store, folded("c"))
    again = store.results_of(before.record, before=before)
    assert [(trial.id, trial.state) for trial in again.trials] == [(key, store.states()[key]) for key in "abc"]
    assert again.trials[0] is before.trials[0]
    assert again.trials[1].overrides == {"seed": 1, "note": None}
    store.forget(trial_ids=["a"])
    assert [trial.id for trial in store.results_of(again.record, before=again).trials] == ["b", "c"]


def test_an_unknown_sweep_or_trial_is_named(store):
    store.put_sweep(record())
    with pytest.raises(UnknownSweepError) as caught:
        store.results("nothing")
    assert (caught.value.value, caught.value.choices) == ("nothing", ("tiny-1",))
    with pytest.raises(UnknownTrialError) as missing:
        store.shipment("nothing")
    assert missing.value.value == "nothing"


def test_trials_are_found_by_state(store):
    put(store, folded("b", state=State.FINISHED))
    put(store, folded("a"))
    assert store.trial_ids() == ["a", "b"]
    assert store.trial_ids(states={State.FINISHED}) == ["b"]
    assert store.states() == {"a": State.RUNNING, "b": State.FINISHED}
    assert store.states(["a", "z"]) == {"a": State.RUNNING}
    assert store.known() == {"a": FileStats("s1"), "b": FileStats("s1")}


def test_points_come_back_nan_and_infinity_included(store):
    points = history(1.5, math.nan, -math.inf, math.inf)
    put(store, folded(points=points))
    found = store.points("a")
    assert repr(found) == repr(tuple(points))


def test_a_growing_history_is_only_added_to(store):
    put(store, folded(points=history(1.0, math.nan)))
    first = store.points_after("a")
    put(store, folded(points=history(1.0, math.nan, 3.0), signature="s2"), seen="s1")
    assert [key for key, _ in store.points_after("a")][:2] == [key for key, _ in first]
    assert [point.value for _, point in store.points_after("a", first[-1][0])] == [3.0]
    assert len(store.points_after("a", limit=2)) == 2


@pytest.mark.parametrize("changed", [[9.0, 2.0], [1.0]])
def test_a_changed_history_replaces_the_points(store, changed):
    put(store, folded(points=history(1.0, 2.0)))
    store.set_run("a", "run")
    store.move_cursor("a", store.points_after("a")[-1][0])
    put(store, folded(points=history(*changed), signature="s2"), seen="s1")
    assert values(store) == list(enumerate(changed, 1))
    assert store.shipment("a").run_is_stale
    store.set_run("a", "another")
    assert not store.shipment("a").run_is_stale


def test_a_writer_with_an_older_view_gives_way(store):
    assert put(store, folded())
    assert not put(store, folded(signature="s0"))
    assert not put(store, folded(signature="s0"), seen="other")
    assert store.known() == {"a": FileStats("s1")}


def test_of_a_batch_those_are_kept_that_nobody_else_wrote(store):
    for key in ("a", "b"):
        put(store, folded(key, points=history(1.0)))
    batch = [folded(key, points=history(1.0, 2.0), signature="s2") for key in ("d", "c", "b", "a")]
    known = {"a": FileStats("s1"), "b": FileStats("older"), "c": FileStats("s1")}
    assert store.put_trials(batch, known=known) == {"a", "d"}
    assert store.known() == {"a": FileStats("s2"), "b": FileStats("s1"), "d": FileStats("s2")}
    assert [values(store, key) for key in "abd"] == [[(1, 1.0), (2, 2.0)], [(1, 1.0)], [(1, 1.0), (2, 2.0)]]
    assert store.put_trials([], known={}) == set()


def test_a_glance_is_noted_of_what_is_still_as_it_was(store):
    for key in ("a", "b"):
        put(store, folded(key))
    store.put_glances({"a": FileStats("s1", "g1"), "b": FileStats("older", "g0"), "gone": FileStats("s1", "g1")})
    assert store.known() == {"a": FileStats("s1", "g1"), "b": FileStats("s1")}
    put(store, folded("a", signature="s2"), seen="s1")
    assert store.known()["a"] == FileStats("s2")
    store.forget(trial_ids=["a"])
    assert set(store.known()) == {"b"}


def test_statuses_are_found_by_state_and_by_id(store):
    put(store, folded("a"))
    put(store, folded("b", state=State.FINISHED))
    assert store.statuses() == {"a": folded().status, "b": folded(state=State.FINISHED).status}
    assert list(store.statuses(states={State.FINISHED})) == ["b"]
    assert list(store.statuses(["b", "z"])) == ["b"]
    assert store.statuses([]) == {}


def test_a_result_is_parsed_when_it_is_asked_for(store):
    store.put_sweep(record(trials=("a",)))
    put(store, folded())
    (result,) = store.results("tiny-1").trials
    assert result.state is State.RUNNING
    assert "status" not in vars(result)
    assert result == store.results_of(record(trials=("a",))).trials[0]
    assert (result.status, result.seed) == (folded().status, 0)


def test_what_mlflow_knows_is_noted(store):
    put(store, folded(points=history(1.0)))
    assert store.unsent() == ["a"]
    store.set_run("a", "run")
    store.move_cursor("a", 1)
    store.mark_sent("a", "s1")
    assert store.unsent() == []
    assert (store.shipment("a").run_id, store.shipment("a").sent_id) == ("run", 1)


FIRST = {"tracking_uri": "http://mlflow.example", "experiment_id": "1", "created_ms": 5}


@pytest.mark.parametrize(
    ("change", "forgotten"),
    [
        ({}, False),
        ({"tracking_uri": "http://other.example"}, True),
        ({"experiment_id": "2"}, True),
        ({"created_ms": 6}, True),
    ],
)
def test_another_destination_was_told_nothing(store, change, forgotten):
    put(store, folded(points=history(1.0)))
    store.aim(**FIRST)
    store.set_run("a", "run")
    store.move_cursor("a", 1)
    store.mark_sent("a", "s1")
    store.aim(**FIRST | change)
    noted = (store.unsent(), store.shipment("a").run_id, store.shipment("a").sent_id)
    assert noted == ((["a"], "", 0) if forgotten else ([], "run", 1))


def test_a_new_sweep_gives_its_trials_new_tags(store):
    put(store, folded())
    store.mark_sent("a", "s1")
    store.put_sweep(record("late", t=2.0))
    store.put_sweep(record("early", t=1.0))
    assert store.unsent() == ["a"]
    assert [(sweep.name, member.overrides["seed"]) for sweep, member in store.shipment("a").sweeps] == [
        ("early", 0),
        ("late", 0),
    ]


def test_forgetting_and_resetting(store):
    store.put_sweep(record())
    for key in ("a", "b"):
        put(store, folded(key, points=history(1.0)))
    store.forget(trial_ids=["a"], sweep_ids=["tiny-1"])
    assert (store.trial_ids(), store.points("a"), store.sweep_records()) == (["b"], (), ())
    assert values(store, "b") == [(1, 1.0)]
    store.reset()
    assert store.trial_ids() == []


def test_digests_tell_a_beginning(store):
    whole = history(1.0, 2.0, math.nan)
    assert digests(whole, count=2)[0] == digests(whole[:2], count=2)[1]
    assert digests(whole, count=3)[0] == digests(whole, count=3)[1] != digests(whole, count=2)[0]


def test_what_was_put_is_there_after_reopening(url):
    with Store.open(url) as store:
        put(store, folded(points=history(1.0)))
    with Store.open(url) as store:
        assert values(store) == [(1, 1.0)]


def test_sqlite_uses_write_ahead_logging(url):
    engine = open_engine(url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()


def open_and_close(url):
    with Store.open(url) as store:
        store.put_sweep(record())


def test_processes_that_open_a_fresh_database_at_once_take_turns(url):
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=open_and_close, args=(url,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with Store.open(url) as store:
        assert store.sweep_records() == (record(),)


def set_version(engine, version):
    with engine.begin() as connection:
        connection.execute(update(iwm_schema).values(version=version))


def tables(engine):
    return set(inspect(engine).get_table_names())


def test_older_tables_are_dropped_and_made_anew(store):
    put(store, folded(points=history(1.0)))
    set_version(store._engine, VERSION - 1)
    with Store.open(store._engine.url.render_as_string(hide_password=False)) as again:
        assert (again.known(), again.sweep_ids()) == ({}, set())
        assert put(again, folded(points=history(1.0)))


@pytest.mark.parametrize("version", ["0001", "0002"])
def test_tables_of_the_first_versions_are_dropped_with_their_version_s_own(version, store):
    put(store, folded())
    with store._engine.begin() as connection:
        iwm_schema.drop(connection)
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text(f"INSERT INTO alembic_version VALUES ('{version}')"))
    with Store.open(store._engine.url.render_as_string(hide_password=False)) as again:
        assert again.known() == {}
        assert "alembic_version" not in tables(again._engine)


def test_tables_of_another_program_are_refused_and_kept(store):
    put(store, folded())
    with store._engine.begin() as connection:
        iwm_schema.drop(connection)  # now nothing says that `trials` is ours
    url = store._engine.url.render_as_string(hide_password=False)
    with pytest.raises(DatabaseError) as caught:
        Store.open(url)
    assert caught.value.value == shown(url)
    assert store.trial_ids() == ["a"]


def test_a_process_that_is_killed_on_the_way_changes_nothing(store, monkeypatch):
    def killed(*_, **__):
        raise KeyboardInterrupt

    put(store, folded())
    set_version(store._engine, VERSION - 1)
    with monkeypatch.context() as patch:
        patch.setattr(MetaData, "create_all", killed)
        with pytest.raises(KeyboardInterrupt):
            open_engine(store._engine.url.render_as_string(hide_password=False))
    assert store.trial_ids() == ["a"]


def test_newer_tables_are_refused_with_both_versions(store):
    set_version(store._engine, VERSION + 1)
    with pytest.raises(DatabaseError) as caught:
        Store.open(store._engine.url.render_as_string(hide_password=False))
    assert (caught.value.setting, caught.value.value) == ("version", VERSION + 1)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "notes.db").write_text("no database at all, but long enough to be read as a header" * 9)
    with pytest.raises(DatabaseError) as caught:
        Store.open(f"sqlite:///{tmp_path}/notes.db")
    assert caught.value.value == f"sqlite:///{tmp_path}/notes.db"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseError) as caught:
        Store.open(f"sqlite:///{tmp_path}/file/sub/iwm.db")
    assert caught.value.path == tmp_path / "file/sub"


@pytest.mark.parametrize("url", ["mysql://anna:s3cret@db/iwm", "sqlite://", "anna:s3cret", "sqlite:///:memory:"])
def test_a_url_that_means_nothing_is_answered_with_what_does(url):
    with pytest.raises(DatabaseError) as caught:
        Store.open(url)
    assert caught.value.setting == "IWM_DATABASE_URL"
    assert "s3cret" not in str(caught.value)


def test_a_missing_driver_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DatabaseError) as caught:
        Store.open("postgresql://anna:s3cret@127.0.0.1:9/iwm")
    assert caught.value.value == "psycopg"
    assert "s3cret" not in str(caught.value)


def test_an_unreachable_server_is_named_without_its_password():
    pytest.importorskip("psycopg", reason="needs the PostgreSQL driver: pip install 'iwm-orchestrator[postgres]'")
    with pytest.raises(DatabaseError) as caught:
        Store.open("postgresql://anna:s3cret@127.0.0.1:9/iwm")
    assert str(caught.value.value).endswith("anna:***@127.0.0.1:9/iwm")
    assert "s3cret" not in str(caught.value)


def test_an_error_in_use_is_one_sentence(url):
    with Store.open(url) as store:
        with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
            database.execute("DROP TABLE points")
        database.close()
        with pytest.raises(DatabaseError) as caught:
            store.points("a")
    assert caught.value.value == url
    assert "\n" not in str(caught.value)
