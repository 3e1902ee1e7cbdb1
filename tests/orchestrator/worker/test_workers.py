"""A job's pickle holds one path; a pack's workers are processes of their own."""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cloudpickle
import pytest

from iwm_core.events import Failed, Finished, Preempted, Started
from orchestrator.launching.leases import write_trial
from orchestrator.planning.expand import single
from orchestrator.records import journal
from orchestrator.records.scan import read_status
from orchestrator.trial.events import Cause, Claimed, Lost
from orchestrator.trial.launchers import TOKEN
from orchestrator.trial.lifecycle import State
from orchestrator.worker import workers
from orchestrator.worker.attempt import CANCELLED
from orchestrator.worker.workers import Pack, Worker
from tests.fakes.tiny import TINY


@pytest.mark.parametrize("make", [Worker, lambda path: Pack((Worker(path),))])
def test_the_pickle_is_a_path_and_little_else(tmp_path, make):
    pickled = cloudpickle.dumps(make(tmp_path))
    assert cloudpickle.loads(pickled) == make(tmp_path)
    assert len(pickled) < 400 + len(str(tmp_path))


def test_jobs_that_were_queued_before_an_update_find_what_they_run():
    """The bytes are those that version 0.1.0 submitted from modules without rooms; only the name in them matters."""
    path = b"\x8c\x07pathlib\x94\x8c\tPosixPath\x94\x93\x94\x8c\x01/\x94\x8c\x01r\x94\x8c\x020a\x94\x87\x94R\x94sb"
    worker = b"\x8c\x06Worker\x94\x93\x94)\x81\x94}\x94\x8c\x04path\x94" + path
    module = b"\x8c\x13orchestrator.worker\x94"
    pack = module + b"\x8c\x04Pack\x94\x93\x94)\x81\x94}\x94\x8c\x07workers\x94h\x00" + worker + b"\x85\x94sb."
    assert pickle.loads(b"\x80\x04" + module + worker + b".") == Worker(Path("/r/0a"))
    assert pickle.loads(b"\x80\x04" + pack) == Pack((Worker(Path("/r/0a")),))


def test_a_worker_without_a_claim_leaves(on_disk, monkeypatch):
    monkeypatch.setenv("IWM_CLAIM", "another token")
    folder = on_disk.trial()
    assert Worker(folder.path)().startswith("left: ")
    assert journal.attempt_numbers(folder) == []


def test_what_submitit_starts_again_is_the_same(tmp_path):
    for callable_ in (Worker(tmp_path), Pack((Worker(tmp_path),))):
        assert callable_.checkpoint().function == callable_


@pytest.mark.slow
def test_a_crash_in_a_pack_leaves_its_neighbours_alone(on_disk, monkeypatch):
    words = [*TINY, "train.steps=10"]
    folders = [write_trial(on_disk.layout, single([*words, f"seed={n}"]).trial) for n in range(2)]
    for folder in folders:
        journal.claim(folder, Claimed(claim=0, token="ours"))
    monkeypatch.setenv(TOKEN, "ours")
    folders[0].value_file.write_text("{")
    with pytest.raises(RuntimeError) as caught:
        Pack(tuple(Worker(folder.path) for folder in folders))()
    assert [folder.id in str(caught.value) for folder in folders] == [True, False]
    assert [read_status(folder).state for folder in folders] == [State.FAILED, State.FINISHED]


@pytest.mark.parametrize(
    ("code", "last", "pid", "named"),
    [
        (-9, [], 7, (Cause.KILLED, "SIGKILL")),
        (-11, [], 7, (Cause.ERROR, "SIGSEGV")),
        (3, [], 7, (Cause.ERROR, "exit code 3")),
        (1, [Failed(error="E")], 7, None),
        (-9, [], 8, None),  # another start's
    ],
)
def test_a_neighbour_that_died_without_a_word_is_named_at_once(on_disk, code, last, pid, named):
    folder = on_disk.trial()
    on_disk.attempt(folder, [Started(pid=7, host="n1"), *last]).close()
    workers._record_crash(folder, pid=pid, code=code)
    lost = [event for event in journal.read_control(folder) if isinstance(event, Lost)]
    assert [event.cause for event in lost] == ([named[0]] if named else [])
    assert all((event.attempt, event.node) == (0, "n1") and named[1] in event.reason for event in lost)


@pytest.mark.parametrize(
    ("events", "asked"),
    [
        ([], False),
        ([Started(), Finished()], False),
        ([Started()], False),
        ([Started(), Preempted(signal="SIGUSR2")], True),
        ([Started(), Preempted(signal=CANCELLED)], False),
    ],
)
def test_a_pack_goes_back_into_the_queue_for_workers_that_were_asked_to_stop(on_disk, events, asked):
    folder = on_disk.trial()
    if events:
        on_disk.attempt(folder, events).close()
    assert workers._was_asked_to_stop(Worker(folder.path)) is asked


@pytest.mark.parametrize(
    ("state", "scontrol", "asked"),
    [("RUNNING", 0, True), ("RUNNING", 1, False), ("COMPLETING", 0, None), ("PREEMPTED", 0, None), ("", 0, None)],
)
def test_a_job_goes_back_into_the_queue_where_slurm_has_not_decided(on_path, kept_signals, state, scontrol, asked):
    said = on_path("scontrol", f"if [ $1 = show ]; then echo JobState={state}; else exit {scontrol}; fi")
    assert workers.requeue("7_1") is bool(asked)
    commands = said.read_text().splitlines()
    assert commands[0] == "show job --oneliner 7_1"
    assert commands[1:] == ([] if asked is None else ["requeue 7_1"])


@pytest.mark.parametrize(
    ("said", "ours"),
    [
        ("JobName=a-0123 JobState=RUNNING Requeue=1 Restarts=1", True),
        ("JobName=a-0123 JobState=RUNNING Requeue=1 Restarts=2", False),
        ("JobName=a-0123 JobState=RUNNING Requeue=1 Restarts=0", False),
        ("JobName=b-4567 JobState=RUNNING Requeue=1 Restarts=1", False),
    ],
)
def test_another_start_of_the_job_and_another_job_with_its_id_are_left_alone(
    on_path, kept_signals, monkeypatch, said, ours
):
    for variable, value in (("SLURM_JOB_ID", "7"), ("SLURM_RESTART_COUNT", "1"), ("IWM_CLAIM", "0123")):
        monkeypatch.setenv(variable, value)
    on_path("scontrol", f"echo JobId=7 {said}")
    assert workers.requeue("7") is ours


def test_a_packed_worker_leaves_its_job_alone(on_path, monkeypatch):
    said = on_path("scontrol", "")
    monkeypatch.setenv(workers.PACKED, "1")
    assert not workers.requeue("7")
    assert not said.exists()


SPEAKING = """
import sys
from pathlib import Path
from orchestrator.worker import workers
from orchestrator.records.layout import TrialFolder
workers.prepare(TrialFolder(Path(sys.argv[1])), job_id="7_1", restart=2)
print("a word")
"""


@pytest.mark.parametrize(("group", "mode"), [(True, 0o664), (False, 0o644)])
def test_a_job_s_attempt_has_a_log_of_its_own_with_the_permissions_asked_for(on_disk, group, mode):
    folder = on_disk.trial()
    journal.claim(folder, Claimed(claim=1, resources={"group_writable": group}))
    subprocess.run([sys.executable, "-c", SPEAKING, str(folder.path)], check=True, umask=0o022)
    log = folder.logs / "7_1-r2.out"
    assert log.read_text() == "a word\n"
    assert log.stat().st_mode & 0o777 == mode
    assert (folder.logs / "7_1-r2.err").exists()


@pytest.fixture
def kept_signals() -> Iterator[None]:
    """Puts the handlers back that a worker, which is about to end, does not."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def on_path(tmp_path, monkeypatch):
    """Puts a program on the PATH that writes down its arguments and does what a line of shell says."""

    def put(name: str, line: str) -> Path:
        program, said = tmp_path / "bin" / name, tmp_path / "said"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\necho "$*" >> {said}\n{line}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return said

    return put
