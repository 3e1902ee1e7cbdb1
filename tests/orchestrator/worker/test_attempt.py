"""Who may run a trial, and which checkpoints lie on the line that led here."""

import dataclasses
import re
import resource

import pytest

from iwm_core import config
from iwm_core.config import TrialConfig
from iwm_core.errors import CheckpointError, ConfigError, DataError
from iwm_core.events import Evaluated, Failed, Finished, Started
from orchestrator.host.locks import holding
from orchestrator.launching.leases import write_trial
from orchestrator.planning.expand import single
from orchestrator.records import journal
from orchestrator.records.checkpoints import is_trusted
from orchestrator.records.scan import read_status
from orchestrator.trial.events import Cancelled, Claimed, Held
from orchestrator.trial.lifecycle import Attempt, State
from orchestrator.trial.value import Trial
from orchestrator.worker.attempt import Job, LeaseLost, _Attempt, check_lease, one_line, place, run_attempt
from tests.fakes.tiny import TINY


def never():
    return None


def claimed(on_disk, *tokens):
    folder = on_disk.trial()
    for number, token in enumerate(tokens, start=1):
        journal.claim(folder, Claimed(claim=number, token=token))
    return folder


def test_the_newest_claim_s_token_is_the_right(on_disk):
    folder = claimed(on_disk, "a", "b")
    assert check_lease(folder, token="b").claimed.claim == 2
    with pytest.raises(LeaseLost) as caught:
        check_lease(folder, token="a")
    assert caught.value.value == "b"


def test_a_finished_or_cancelled_trial_needs_no_attempt(on_disk):
    folder = claimed(on_disk, "a")
    journal.record(folder, Cancelled(claim=1))
    with pytest.raises(LeaseLost) as cancelled:
        check_lease(folder, token="a")
    on_disk.attempt(folder, [Finished(step=1)]).close()
    with pytest.raises(LeaseLost) as finished:
        check_lease(folder, token="a")
    assert (cancelled.value.value, finished.value.value) == (State.CANCELLED, State.FINISHED)


def test_what_is_held_here_does_not_start_and_what_slurm_starts_was_released_there(on_disk):
    folder = claimed(on_disk, "a")
    journal.record(folder, Held(claim=1))
    with pytest.raises(LeaseLost) as caught:
        run_attempt(folder, job=Job(token="a"), should_stop=never)
    assert caught.value.value == State.HELD
    assert check_lease(folder, token="a").claimed.claim == 1


@pytest.mark.parametrize(("event", "ends"), [(Held(claim=1), "held"), (Cancelled(claim=1), "cancelled")])
def test_a_hold_or_a_cancellation_stops_a_run_that_no_signal_reached(on_disk, event, ends):
    cell = single([*TINY, "train.steps=500"])
    folder = write_trial(on_disk.layout, cell.trial)
    journal.claim(folder, Claimed(claim=1, token="a"))

    def ask(said):
        if isinstance(said, Started):
            journal.record(folder, event)

    ended = run_attempt(folder, job=Job(token="a"), should_stop=never, listen=ask)
    assert (ended.name, getattr(ended, "signal", "")) == ("preempted", ends)
    assert 0 < ended.step < 500


def test_an_interrupted_evaluation_goes_on_with_what_was_not_measured(on_disk):
    trained = single([*TINY, "train.steps=2"]).trial
    evaluation = Trial(dataclasses.replace(trained.config, pretrain=trained.id))
    parent, folder = (write_trial(on_disk.layout, trial) for trial in (trained, evaluation))
    journal.claim(parent, Claimed(claim=0, token="a"))
    ended = run_attempt(parent, job=Job(token="a"), should_stop=never)
    journal.claim(folder, Claimed(claim=0, token="a"))
    asked = iter([None, "SIGTERM"])
    assert run_attempt(folder, job=Job(token="a"), should_stop=lambda: next(asked)).name == "preempted"
    journal.claim(folder, Claimed(claim=1, token="b"))
    again = run_attempt(folder, job=Job(token="b"), should_stop=never)
    assert isinstance(again, Finished)
    assert isinstance(ended, Finished)
    assert again.weights_sha256 == ended.weights_sha256
    status = read_status(folder)
    assert (status.step, status.repeated_steps, status.total_steps) == (2, 0, 2)
    assert status.metrics.items() <= read_status(parent).metrics.items()
    said = [event for events in journal.read_journals(folder).values() for event in events]
    assert [event.protocol for event in said if isinstance(event, Evaluated)] == ["mrr", "linear"]


@pytest.mark.slow
def test_a_tuning_protocol_resumes_from_its_own_checkpoint_and_writes_none_of_its_parent(on_disk):
    trained = single([*TINY, "train.steps=2"]).trial
    settings = ["evaluate.protocol=attentive", "tune.steps=5", "tune.batch_size=8", f"pretrain='{trained.id}'"]
    tuned = single([*TINY, "train.steps=2", "resources.checkpoint_every_steps=2", *settings])
    parent, folder = (write_trial(on_disk.layout, trial) for trial in (trained, tuned.trial))
    journal.claim(parent, Claimed(claim=0, token="a"))
    run_attempt(parent, job=Job(token="a"), should_stop=never)
    before = sorted(parent.checkpoints.iterdir())
    journal.claim(folder, Claimed(claim=0, token="a"))
    asked = iter([None, None, "SIGTERM"])
    assert run_attempt(folder, job=Job(token="a"), should_stop=lambda: next(asked)).step == 3
    journal.claim(folder, Claimed(claim=1, token="b"))
    ended = run_attempt(folder, job=Job(token="b"), should_stop=never)
    assert isinstance(ended, Finished)
    status = read_status(folder)
    assert (status.step, status.total_steps, status.repeated_steps, len(status.attempts)) == (5, 5, 0, 2)
    assert {"attentive_top1", "attentive_random_top1", "loss"} <= set(status.metrics)
    assert sorted(parent.checkpoints.iterdir()) == before


def test_a_timm_model_is_evaluated_without_a_parent(on_disk):
    trial = single([*TINY, "pretrain='timm:resnet10t'", "evaluate.protocol=knn"]).trial
    folder = write_trial(on_disk.layout, trial)
    journal.claim(folder, Claimed(claim=0, token="a"))
    assert isinstance(run_attempt(folder, job=Job(token="a"), should_stop=never), Finished)
    status = read_status(folder)
    assert (status.state, status.step, status.total_steps) == (State.FINISHED, 1, 1)
    assert "knn_random_top1" in status.metrics


def test_an_evaluation_of_what_is_not_there_is_refused_in_one_sentence(on_disk):
    folder = write_trial(on_disk.layout, Trial(TrialConfig(pretrain="f" * 16)))
    journal.claim(folder, Claimed(claim=0, token="a"))
    with pytest.raises(CheckpointError) as caught:
        run_attempt(folder, job=Job(token="a"), should_stop=never)
    assert (caught.value.setting, caught.value.value) == ("pretrain", "f" * 16)
    status = read_status(folder)
    assert (status.state, "\n" in status.error) == (State.FAILED, False)


def test_one_worker_per_trial(on_disk):
    folder = claimed(on_disk, "a")
    with holding(folder.worker_lock), pytest.raises(LeaseLost) as caught:
        run_attempt(folder, job=Job(token="a"), should_stop=never, wait_s=0)
    assert caught.value.path == folder.worker_lock
    assert journal.attempt_numbers(folder) == []


def test_a_worker_waits_for_its_slot_and_leaves_when_asked(on_disk, tmp_path):
    folder = claimed(on_disk, "a")
    slot = tmp_path / "slot"
    with holding(slot), pytest.raises(LeaseLost) as caught:
        run_attempt(folder, job=Job(token="a", slot_lock=str(slot)), should_stop=lambda: "SIGTERM", wait_s=0)
    assert caught.value.path == slot


def test_an_error_before_the_first_step_is_journalled(on_disk):
    folder = claimed(on_disk, "a")
    folder.value_file.write_text('{"config": {"data": {"kind": "imagefolder"}}}')
    with pytest.raises(DataError):
        run_attempt(folder, job=Job(token="a"), should_stop=never)
    started, failed = journal.read_journals(folder)[0]
    assert started.name == "started"
    assert isinstance(failed, Failed)
    assert "Traceback" in failed.traceback


def test_where_the_journal_is_what_fails_that_is_raised(on_disk, caplog):
    folder = write_trial(on_disk.layout, single([*TINY, "train.steps=20"]).trial)
    journal.claim(folder, Claimed(claim=0, token="a"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(said):
        resource.setrlimit(resource.RLIMIT_FSIZE, (folder.attempt(0).stat().st_size, hard))

    try:
        with pytest.raises(OSError) as caught:
            run_attempt(folder, job=Job(token="a"), should_stop=never, listen=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(folder.attempt(0))
    assert [event.name for event in journal.read_journals(folder)[0]] == ["started"]
    assert "cannot journal 'OSError: " in caplog.text


def test_an_attempt_that_another_finished_under_while_it_loaded_leaves_without_a_trace(on_disk):
    folder = claimed(on_disk, "a")
    overtaken = on_disk.attempt(folder, [Started(attempt=0, claim=1)])
    late = _Attempt(
        folder, lease=check_lease(folder, token="a"), job=Job(token="a"), should_stop=never, listen=lambda event: None
    )
    overtaken.append(Finished(step=1))
    overtaken.close()
    with pytest.raises(LeaseLost) as caught:
        late._open(0, [], {"device": "any"})
    assert caught.value.value == State.FINISHED
    assert journal.attempt_numbers(folder) == [0]


@pytest.mark.parametrize(
    ("step", "attempt", "trusted"),
    [(50, 0, True), (60, 0, False), (60, 1, True), (90, 1, False), (80, 2, True), (500, 2, True)],
)
def test_a_checkpoint_from_after_a_later_start_is_not_trusted(step, attempt, trusted):
    older = (
        Attempt(number=0, total_steps=100),
        Attempt(number=1, resumed_from_step=50, total_steps=100),
        Attempt(number=2, resumed_from_step=80, total_steps=100),
        Attempt(number=3),  # failed before it had loaded anything: its 0 means nothing
    )
    assert is_trusted(step, attempt, older=older) is trusted


def test_the_job_around_this_process():
    assert Job.from_environment({"SUBMITIT_LOCAL_JOB_ID": "7", "IWM_CLAIM": "t"}) == Job(job_id="7", token="t")
    array = {"SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "2", "SLURM_JOB_ID": "9", "SLURM_RESTART_COUNT": "3"}
    assert Job.from_environment(array) == Job(job_id="5_2", restart=3, in_slurm=True)


def test_an_error_on_one_line():
    assert one_line(ValueError("a\n  b")) == "ValueError: a b"


def test_where_an_error_was_raised():
    with pytest.raises(ValueError) as raised:
        Trial.from_json(b"{")
    assert re.fullmatch(r" \(orchestrator/trial/value\.py:\d+\)", place(raised.value))
    with pytest.raises(ConfigError) as asked:
        config.from_dict(config.TrialConfig, {"sed": 1})
    assert place(asked.value) == ""
    assert place(ValueError()) == ""


def test_a_cancelled_claim_is_noticed_and_an_older_one_is_not(on_disk):
    folder = claimed(on_disk, "a", "b")
    journal.record(folder, Cancelled(claim=1))
    assert journal.is_cancelled(folder, claim=1)
    assert not journal.is_cancelled(folder, claim=2)
