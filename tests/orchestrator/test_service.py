"""Names to trials, and trials to their ends."""

import subprocess

import pytest

from iwm_core.events import Preempted, Started
from orchestrator import journal, provenance, service
from orchestrator.errors import RootError, UnknownSweepError, UnknownTrialError
from orchestrator.events import Cancelled, Claimed
from orchestrator.layout import Layout
from orchestrator.locks import holding


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
        with pytest.raises(UnknownSweepError, match="none yet"):
            service.find_sweep(on_disk.layout, store, "demo")


def test_a_sweep_is_no_trial(on_disk):
    on_disk.trial()
    on_disk.sweep("demo", [0])
    with service.observed(on_disk.layout) as store, pytest.raises(UnknownTrialError, match="is a sweep"):
        service.find_trial(on_disk.layout, store, "demo")


def test_cancelling_is_written_down_once(on_disk):
    trial = on_disk.trial()
    assert service.cancel(on_disk.layout, [trial.id]) == [trial.id]
    assert service.cancel(on_disk.layout, [trial.id]) == []
    assert sum(isinstance(event, Cancelled) for event in journal.read_control(trial)) == 1


def test_a_worker_that_is_not_alive_is_not_signalled(on_disk):
    trial = on_disk.trial()
    on_disk.attempt(trial, [Started(pid=1)]).close()
    status = service.Census(on_disk.layout).status(trial.id)
    assert not service.stop_worker(on_disk.layout, trial.id, status)


def test_a_root_under_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RootError, match="file"):
        service.check_root(Layout.of(tmp_path / "file" / "runs", environ={}))


def test_the_process_of_an_attempt_that_has_ended_is_not_signalled(on_disk):
    bystander = subprocess.Popen(["sleep", "60"])
    trial = on_disk.trial()
    on_disk.attempt(trial, [Started(pid=bystander.pid, host=provenance.host()), Preempted()]).close()
    journal.claim(trial, Claimed(claim=1))
    with holding(trial.worker_lock):
        status = service.Census(on_disk.layout).status(trial.id)
        assert not service.stop_worker(on_disk.layout, trial.id, status)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()
