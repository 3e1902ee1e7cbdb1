"""What one look at this machine's trials leads to, and what a launcher can see of a job."""

import pytest

from iwm_core.events import Preempted, Started
from orchestrator.host import provenance
from orchestrator.host.locks import holding
from orchestrator.launching import slots
from orchestrator.records import journal
from orchestrator.records.scan import read_status
from orchestrator.trial.events import Claimed, Submitted
from orchestrator.trial.launchers import FOREGROUND, LOCAL
from orchestrator.trial.lifecycle import State


def queued(on_disk, *, host=None, launcher=LOCAL, job_id=""):
    folder = on_disk.trial()
    journal.claim(folder, Claimed(claim=1, token="t", launcher=launcher, host=host or provenance.host()))
    if job_id:
        journal.record(folder, Submitted(claim=1, job_id=job_id))
    return folder


def look(on_disk, folder):
    acted = slots.reconcile(on_disk.layout, {folder.id: read_status(folder)})
    return acted, read_status(folder).state


def test_a_claim_without_a_job_waits_for_a_slot(on_disk):
    folder = queued(on_disk)
    assert look(on_disk, folder) == (False, State.QUEUED)
    claim = slots.waiting(folder, read_status(folder))
    assert claim
    assert claim.token == "t"


def test_a_job_that_died_while_importing_is_lost_and_claimed_again(on_disk):
    folder = queued(on_disk, job_id="999999999")
    assert slots.waiting(folder, read_status(folder)) is None
    assert look(on_disk, folder) == (True, State.PREEMPTED)
    assert look(on_disk, folder) == (True, State.QUEUED)
    assert read_status(folder).claim == 2


def test_a_dead_worker_is_lost_a_living_one_is_not(on_disk):
    folder = queued(on_disk)
    on_disk.attempt(folder, [Started(claim=1)]).close()
    with holding(folder.worker_lock):
        assert look(on_disk, folder) == (False, State.RUNNING)
    assert look(on_disk, folder) == (True, State.PREEMPTED)


def test_a_preempted_foreground_trial_waits_for_its_person(on_disk):
    folder = queued(on_disk, launcher=FOREGROUND)
    on_disk.attempt(folder, [Started(claim=1), Preempted()]).close()
    assert look(on_disk, folder) == (False, State.PREEMPTED)
    assert not slots.has_work(on_disk.layout, {folder.id: read_status(folder)})


def test_another_machine_s_trials_are_not_ours_to_judge(on_disk):
    folder = queued(on_disk, host="elsewhere")
    on_disk.attempt(folder, [Started(claim=1)]).close()
    assert look(on_disk, folder) == (False, State.RUNNING)


@pytest.mark.parametrize("job_id", ["", "local-3", "1", "999999999"])
def test_a_process_id_alone_is_no_job(on_disk, job_id):
    assert not slots.job_is_alive(job_id, on_disk.trial())


@pytest.mark.parametrize(
    ("listed", "gpus", "dealt"),
    [
        (None, -1, ["0", "1", "0"]),
        (None, 1, ["0", "0", "0"]),
        (None, 0, ["", "", ""]),
        ("3,7", -1, ["3", "7", "3"]),
        ("", -1, ["", "", ""]),
    ],
)
def test_gpus_are_dealt_out_of_those_that_are_visible(tmp_path, listed, gpus, dealt):
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    environ = {} if listed is None else {"CUDA_VISIBLE_DEVICES": listed}
    assert [slots.gpu_of_slot(n, gpus=gpus, environ=environ, devices=tmp_path) for n in range(3)] == dealt
