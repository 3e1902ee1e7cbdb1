"""Statuses."""

import io

import pytest
from rich.console import Console

from orchestrator import service
from orchestrator.cli import render, watching
from orchestrator.errors import UnknownSweepError
from orchestrator.records import slurm_seen
from orchestrator.records.layout import Layout
from orchestrator.store.database import SINGLE, Store
from orchestrator.store.refresh import refresh
from orchestrator.trial.lifecycle import State, TrialStatus
from tests.fakes.results import attempt, finished, results, trial
from tests.orchestrator.conftest import started, trained


def test_sweeps_and_single_trials(on_disk):
    for seed in (0, 1):
        on_disk.trial(seed)
    on_disk.sweep("demo", [0])
    with service.observed(on_disk.layout) as store:
        names = [results.record.name for results in watching.read(on_disk.layout, store, None)]
        assert names == ["demo", SINGLE.name]
        assert [results.record.name for results in watching.read(on_disk.layout, store, "demo")] == ["demo"]
        with pytest.raises(UnknownSweepError):
            watching.read(on_disk.layout, store, "nothing")


def test_json_has_the_promised_keys(on_disk):
    folder = on_disk.trial()
    on_disk.undisturbed(folder)
    on_disk.sweep("demo", [0])
    with service.observed(on_disk.layout) as store:
        told = render.status_json(watching.read(on_disk.layout, store, "demo"))
    (sweep,) = told["sweeps"]
    assert {"id", "name", "counts", "trials"} <= set(sweep)
    promised = "id overrides state step total_steps attempts job_id slurm_state metrics weights_sha256"
    assert set(promised.split()) <= set(sweep["trials"][0])
    assert sweep["counts"] == {"finished": 1}


RUNS = TrialStatus(
    state=State.RUNNING,
    step=40,
    total_steps=100,
    metrics={"online_mrr": 0.25},
    attempts=(attempt(end=None, step=40, stepped_t=1_020.0),),
)


def many(count, *statuses):
    waiting = TrialStatus(state=State.QUEUED)
    trials = [
        trial({"seed": at}, status=statuses[at - count] if at >= count else waiting)
        for at in range(count + len(statuses))
    ]
    return results(trials, axes=["seed"])


def lines(renderable, *, width=120):
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_a_row_says_how_fast_how_long_and_how_well():
    sweep = many(0, RUNS)
    _, heading, row, left = lines(watching.sweep_board(sweep, notes={}, rows=9))
    assert heading.split() == ["trial", "seed", "state", "step", "rate", "left", "MRR", "note"]
    assert row.split() == [sweep.trials[0].id[:8], "0", "running", "40/100", "2/s", "30", "s", "0.25"]
    assert "30 s" in left


def test_what_slurm_says_of_a_waiting_trial_is_in_its_note(on_disk):
    sweep, seen = many(1), {"state": "PENDING", "reason": "Resources", "node": ""}
    on_disk.layout.state.mkdir(parents=True)
    slurm_seen.write(on_disk.layout, {trial.id: seen for trial in [*sweep.trials, *many(0, finished({})).trials]})
    notes = watching.notes(on_disk.layout, sweep)
    assert notes == {sweep.trials[0].id: [render.slurm_note(seen)]}
    assert "PENDING (Resources)" in "\n".join(lines(watching.sweep_board(sweep, notes=notes, rows=9)))


def test_ten_thousand_trials_are_not_drawn(tmp_path):
    layout = Layout.of(tmp_path, environ={})
    shown = lines(watching.board(layout, [many(9_999, RUNS)], height=24))
    assert len(shown) < 24
    assert any("running" in line and "2/s" in line for line in shown)
    assert any(line.startswith(f"... {10_000 - (24 - 1 - watching.FRAME):} more, not shown") for line in shown)
    assert "ETA in " in shown[-1]


def test_where_there_is_little_room_notes_give_way(tmp_path):
    failed = TrialStatus(state=State.FAILED, error="ValueError: " + "what went wrong, at length " * 9)
    row = lines(watching.sweep_board(many(0, failed), notes={}, rows=9), width=60)[-1]
    assert "failed" in row
    assert "0/100" in row
    assert row.endswith("…")


def test_sweeps_that_have_ended_take_a_line(tmp_path):
    layout = Layout.of(tmp_path, environ={})
    shown = lines(watching.board(layout, [many(0, finished({})), many(2)], height=24))
    assert shown[0] == "toy-00000000  1 finished"
    assert shown[1] == "toy-00000000  2 queued"


def test_elsewhere_than_on_a_terminal_it_is_plain_lines_until_the_end(on_disk):
    for seed in (0, 1):
        on_disk.undisturbed(on_disk.trial(seed))
    on_disk.sweep("demo", [0, 1])
    out = io.StringIO()
    watching.watch(on_disk.layout, "demo", console=Console(file=out, width=120))
    first, *table = out.getvalue().splitlines()
    assert first.endswith("2 finished")
    assert sum("100/100" in line for line in table) == 2
    assert "\x1b" not in out.getvalue()
    with pytest.raises(UnknownSweepError):
        watching.watch(on_disk.layout, "nothing", console=Console(file=out))


def test_on_a_terminal_only_what_changed_is_parsed_again(on_disk):
    folder, other = on_disk.trial(0), on_disk.trial(1)
    on_disk.undisturbed(other)
    journal = on_disk.attempt(folder, [started(0, folder)])
    on_disk.sweep("demo", [0, 1])
    with Store.open(on_disk.layout.database_url) as store:
        refresh(on_disk.layout, store)
        before = watching.read(on_disk.layout, store, "demo")
        journal.append(trained(0, 10)[0])
        refresh(on_disk.layout, store)
        (after,) = watching.again(on_disk.layout, store, "demo", before=before)
    journal.close()
    by_id = {trial.id: trial for trial in before[0].trials}
    assert [by_id[trial.id] is trial for trial in after.trials] == [False, True]
