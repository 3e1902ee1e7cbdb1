"""Names to trials, and trials to their ends."""

import signal
import subprocess

import pytest

from iwm_core.events import Preempted, Started
from orchestrator import service
from orchestrator.errors import RootError, UnknownSweepError, UnknownTrialError
from orchestrator.host import provenance, slurm
from orchestrator.host.locks import holding
from orchestrator.host.slurm import Answer
from orchestrator.launching.keeper import Keeper
from orchestrator.records import journal
from orchestrator.records.layout import Layout
from orchestrator.records.scan import read_status
from orchestrator.trial.events import Cancelled, Claimed, Held, Released, Submitted
from orchestrator.trial.lifecycle import State


def test_a_name_is_its_newest_sweep(on_disk):
    for seed in (0, 1):
        on_disk.trial(seed)
    on_disk.sweep("demo", [0], t=1.0)
    newer = on_disk.sweep("demo", [0, 1], t=2.0)
    with service.observed(on_disk.layout) as store:
        target = service.find(on_disk.layout, store, "demo")
        assert target.record
        assert target.record.id == newer.id
        assert service.find(on_disk.layout, store, newer.id).trial_ids == target.trial_ids
        assert service.find_sweep(on_disk.layout, store, "demo").record.id == newer.id


def test_a_trial_is_found_by_the_beginning_of_its_id(on_disk):
    trial = on_disk.trial()
    with service.observed(on_disk.layout) as store:
        assert service.find_trial(on_disk.layout, store, trial.id[:6]).trial_ids == (trial.id,)
        for wrong in ("", "zz", "../.."):
            with pytest.raises(UnknownTrialError):
                service.find(on_disk.layout, store, wrong)
        with pytest.raises(UnknownSweepError) as caught:
            service.find_sweep(on_disk.layout, store, "demo")
    assert (caught.value.value, caught.value.choices) == ("demo", ())


def test_a_sweep_is_no_trial(on_disk):
    trial = on_disk.trial()
    on_disk.sweep("demo", [0])
    with service.observed(on_disk.layout) as store, pytest.raises(UnknownTrialError) as caught:
        service.find_trial(on_disk.layout, store, "demo")
    assert caught.value.choices == (trial.id,)


def test_cancelling_is_written_down_once(on_disk):
    trial = on_disk.trial()
    assert service.cancel(on_disk.layout, [trial.id]) == [trial.id]
    assert service.cancel(on_disk.layout, [trial.id]) == []
    assert sum(isinstance(event, Cancelled) for event in journal.read_control(trial)) == 1


def test_a_worker_that_is_not_alive_is_not_signalled(on_disk):
    trial = on_disk.trial()
    on_disk.attempt(trial, [Started(pid=1)]).close()
    status = read_status(trial)
    assert not service.stop_worker(on_disk.layout, trial.id, status)


def test_a_root_under_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    root = tmp_path / "file" / "runs"
    with pytest.raises(RootError) as caught:
        service.check_root(Layout.of(root, environ={}))
    assert caught.value.path == root


def test_the_process_of_an_attempt_that_has_ended_is_not_signalled(on_disk):
    bystander = subprocess.Popen(["sleep", "60"])
    trial = on_disk.trial()
    on_disk.attempt(trial, [Started(pid=bystander.pid, host=provenance.host()), Preempted()]).close()
    journal.claim(trial, Claimed(claim=1))
    with holding(trial.worker_lock):
        status = read_status(trial)
        assert not service.stop_worker(on_disk.layout, trial.id, status)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


@pytest.fixture
def slotted(on_disk):
    """A trial that waits for one of this machine's slots, and a keeper that believes itself alone."""
    trial = on_disk.trial()
    journal.claim(trial, Claimed(claim=1, launcher="local", host=provenance.host(), token="ours"))
    with holding(on_disk.layout.keeper_lock):
        yield trial, Keeper(on_disk.layout)


def test_a_held_trial_is_not_started_until_it_is_released(on_disk, slotted):
    trial, keeper = slotted
    layout = on_disk.layout
    assert service.hold(layout, [trial.id]) == [trial.id]
    assert service.hold(layout, [trial.id]) == []
    assert read_status(trial).state is State.HELD
    assert not keeper.tick()
    assert keeper._queue(keeper.census.look()) == []
    assert service.release(layout, [trial.id]) == [trial.id]
    assert service.release(layout, [trial.id]) == []
    assert [folder.id for folder, _ in keeper._queue(keeper.census.look())] == [trial.id]


def test_verbs_on_trials_of_this_machine_do_not_ask_slurm(on_disk, slotted, monkeypatch):
    (trial, _), asked = slotted, []
    monkeypatch.setattr(slurm, "run", lambda command: asked.append(command) or Answer(code=127, out="", err=""))
    for verb in (service.hold, service.release, service.cancel):
        assert verb(on_disk.layout, [trial.id]) == [trial.id]
    assert asked == []


def test_resume_releases_what_is_held(on_disk, slotted):
    trial, _ = slotted
    service.hold(on_disk.layout, [trial.id])
    assert service.resume(on_disk.layout, [trial.id]) == [trial.id]
    assert read_status(trial).state is State.QUEUED


def test_a_held_trial_can_be_cancelled(on_disk, slotted):
    trial, _ = slotted
    service.hold(on_disk.layout, [trial.id])
    assert service.cancel(on_disk.layout, [trial.id]) == [trial.id]
    assert read_status(trial).state is State.CANCELLED
    assert service.release(on_disk.layout, [trial.id]) == []


def test_a_trial_that_is_held_while_it_runs_waits_with_its_checkpoint(on_disk, slotted):
    trial, keeper = slotted
    worker = subprocess.Popen(["sleep", "60"])
    journal.record(trial, Submitted(claim=1, job_id="999999999"))
    attempt = on_disk.attempt(trial, [Started(claim=1, pid=worker.pid, host=provenance.host(), total_steps=9)])
    with holding(trial.worker_lock):
        assert service.hold(on_disk.layout, [trial.id]) == [trial.id]
        assert worker.wait(10) == -signal.SIGTERM
        attempt.append(Preempted(step=5, signal="SIGTERM"))
        attempt.close()
    assert not keeper.tick()
    assert read_status(trial).state is State.HELD
    service.release(on_disk.layout, [trial.id])
    assert read_status(trial).state is State.PREEMPTED
    assert keeper.census.look()[trial.id].state is State.PREEMPTED


def test_what_is_at_its_end_cannot_be_held(on_disk):
    trial = on_disk.trial()
    service.cancel(on_disk.layout, [trial.id])
    assert service.hold(on_disk.layout, [trial.id]) == []
    assert not any(isinstance(event, Held | Released) for event in journal.read_control(trial))
