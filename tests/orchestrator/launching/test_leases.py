"""Of many who claim a trial one wins, and what a claim holds."""

import multiprocessing
import os

import pytest

from iwm_core.config import TrialConfig
from iwm_core.events import Preempted, Started
from orchestrator.errors import RootError
from orchestrator.launching import leases
from orchestrator.records import journal
from orchestrator.records.layout import Layout
from orchestrator.records.scan import read_status
from orchestrator.trial.events import Cancelled, Held
from orchestrator.trial.launchers import LOCAL
from orchestrator.trial.lifecycle import State
from orchestrator.trial.sweep import Resources
from orchestrator.trial.value import Trial

TRIAL = Trial(TrialConfig(seed=5))


@pytest.fixture
def layout(tmp_path):
    return Layout.of(tmp_path / "runs", environ={})


def claim(folder, token="t"):
    return leases.claim(folder, resources=Resources(slots=3), token=token, launcher=LOCAL)


def test_a_trial_is_written_once(layout):
    folder = leases.write_trial(layout, TRIAL)
    before = folder.value_file.stat().st_mtime_ns
    assert leases.write_trial(layout, TRIAL).value_file.stat().st_mtime_ns == before
    assert Trial.from_json(folder.value_file.read_bytes()) == TRIAL


def test_what_is_under_way_cannot_be_claimed(layout):
    folder = leases.write_trial(layout, TRIAL)
    assert claim(folder)
    assert claim(folder) is None
    assert read_status(folder).state is State.QUEUED


def try_to_claim(root, barrier, won):
    folder = Layout.of(root, environ={}).trial(TRIAL.id)
    barrier.wait()
    if claim(folder, token=str(os.getpid())):
        won.put(os.getpid())


def test_of_many_submitters_one_wins(layout):
    leases.write_trial(layout, TRIAL)
    context = multiprocessing.get_context("spawn")
    barrier, won = context.Barrier(4), context.SimpleQueue()
    racers = [context.Process(target=try_to_claim, args=(layout.root, barrier, won)) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(timeout=60)
    winner = won.get()
    assert won.empty()
    assert read_status(layout.trial(TRIAL.id)).claim == 0
    (claimed,) = journal.read_control(layout.trial(TRIAL.id))
    assert getattr(claimed, "token", "") == str(winner)


def test_a_preempted_trial_is_claimed_again_with_its_resources(layout):
    folder = leases.write_trial(layout, TRIAL)
    first = claim(folder)
    assert leases.claim_again(folder) is None
    writer = journal.Journal(folder.attempt(0), attempt=0)
    writer.append(Started(claim=0))
    writer.append(Preempted(step=3))
    writer.close()
    again = leases.claim_again(folder)
    assert again
    assert first
    assert (again.claim, again.resources["slots"]) == (1, 3)
    assert again.token != first.token
    assert leases.claim_again(folder) is None


def test_a_root_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RootError) as caught:
        leases.write_trial(Layout.of(tmp_path / "file", environ={}), TRIAL)
    assert caught.value.path == tmp_path / "file"


@pytest.mark.parametrize(
    ("event", "state"), [(Cancelled(claim=0), State.CANCELLED), (Held(claim=0, reason="by a person"), State.HELD)]
)
def test_what_is_asked_for_while_claiming_again_holds(layout, monkeypatch, event, state):
    folder = leases.write_trial(layout, TRIAL)
    claim(folder)
    writer = journal.Journal(folder.attempt(0), attempt=0)
    writer.append(Started(claim=0))
    writer.append(Preempted(step=3))
    writer.close()
    link = journal.claim

    def ask_first(folder, claimed):
        journal.record(folder, event)
        return link(folder, claimed)

    monkeypatch.setattr(leases.journal, "claim", ask_first)
    assert leases.claim_again(folder) is None
    assert read_status(folder).state is state


def test_folders_of_images_are_absolute_in_a_claim(layout, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = leases.write_trial(layout, TRIAL)
    claimed = leases.claim(folder, resources=Resources(data_root="images"), token="t", launcher=LOCAL)
    assert claimed
    assert claimed.resources["data_root"] == str(tmp_path / "images")
