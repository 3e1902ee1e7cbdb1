"""`iwm train`: killed anywhere and resumed, the weights are the same bits."""

import random
import signal

import pytest

from iwm_core.events import Checkpoint, Preempted, Started, Step, is_telemetry
from orchestrator.records.journal import read_journals
from orchestrator.trial.lifecycle import history
from tests.e2e.conftest import until
from tests.fakes.tiny import TINY

STEPS = 60
WORDS = ("train", "seed=3", f"train.steps={STEPS}", *TINY)
EVERY = 10


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The trial, never interrupted: its last event and its history."""
    from orchestrator.records.layout import Layout
    from tests.e2e.conftest import Iwm

    folder = tmp_path_factory.mktemp("straight")
    iwm = Iwm(Layout.of(folder / "runs", environ={}), folder)
    ended = iwm.json(*WORDS)
    (path,) = iwm.layout.trials.iterdir()
    return ended, points(iwm.layout.trial(path.name))


def points(folder):
    kept = history(read_journals(folder))[0]
    return {(point.key, point.step): point.value for point in kept if not is_telemetry(point.key)}


def journals(iwm):
    """The trial's events so far, of the one trial under this root."""
    found = list(iwm.layout.trials.iterdir()) if iwm.layout.trials.exists() else []
    return read_journals(iwm.layout.trial(found[0].name)) if found else {}


def passed(iwm, *, attempt, step):
    """Return True if this attempt has logged this step."""
    return any(isinstance(event, Step) and event.step >= step for event in journals(iwm).get(attempt, []))


def interrupt(iwm, *, attempt, step, by, words=()):
    process = iwm.start(*WORDS, *words, "--json")
    until(lambda: passed(iwm, attempt=attempt, step=step))
    process.send_signal(by)
    process.communicate(timeout=120)
    return process.returncode


@pytest.mark.parametrize("workers", [0, 2])
def test_sigkill_at_three_random_steps(iwm, straight, workers):
    words = (f"resources.loader_workers={workers}",)
    steps = sorted(random.Random(workers).sample(range(15, STEPS, 5), 3))
    for attempt, step in enumerate(steps):
        assert interrupt(iwm, attempt=attempt, step=step, by=signal.SIGKILL, words=words) == -signal.SIGKILL
    ended = iwm.json(*WORDS, *words)
    assert ended["weights_sha256"] == straight[0]["weights_sha256"]
    assert ended["metrics"] == straight[0]["metrics"]
    check_attempts(journals(iwm), resumed_at_least=EVERY)
    (path,) = iwm.layout.trials.iterdir()
    assert points(iwm.layout.trial(path.name)) == straight[1]


def check_attempts(attempts, *, resumed_at_least):
    """Every attempt began at the last checkpoint before it; no more than an interval was done twice."""
    for older, newer in zip(list(attempts.values()), list(attempts.values())[1:], strict=False):
        (started,) = [event for event in newer if isinstance(event, Started)]
        last_checkpoint = max((event.step for event in older if isinstance(event, Checkpoint)), default=0)
        last_step = max(event.step for event in older if isinstance(event, Step | Checkpoint))
        assert started.resumed_from_step >= max(resumed_at_least, last_checkpoint)
        assert last_step - started.resumed_from_step <= EVERY


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGUSR2, signal.SIGINT])
def test_a_polite_signal_repeats_no_step(iwm, straight, by):
    assert interrupt(iwm, attempt=0, step=15, by=by) == 1
    (events,) = journals(iwm).values()
    last = events[-1]
    assert isinstance(last, Preempted)
    assert last.signal == by.name
    ended = iwm.json(*WORDS)
    assert ended["weights_sha256"] == straight[0]["weights_sha256"]
    (started,) = [event for event in journals(iwm)[1] if isinstance(event, Started)]
    assert started.resumed_from_step == last.step >= 15


def test_a_truncated_newest_checkpoint_falls_back_and_says_so(iwm, straight):
    interrupt(iwm, attempt=0, step=35, by=signal.SIGKILL)
    (path,) = iwm.layout.trials.iterdir()
    newest = max(iwm.layout.trial(path.name).checkpoints.glob("step-*.pt"))
    newest.write_bytes(newest.read_bytes()[:1000])
    ended = iwm.json(*WORDS)
    assert ended["weights_sha256"] == straight[0]["weights_sha256"]
    (started,) = [event for event in journals(iwm)[1] if isinstance(event, Started)]
    assert 0 < started.resumed_from_step < int(newest.name[5:13])
    assert newest.name in started.skipped[0]
    assert newest.name in iwm.run("status")


def test_a_finished_trial_is_not_run_again(iwm):
    first = iwm.json(*WORDS)
    assert iwm.json(*WORDS) == first
    assert len(journals(iwm)) == 1


def test_of_two_at_once_one_trains(iwm):
    process = iwm.start(*WORDS, "--json")
    until(lambda: passed(iwm, attempt=0, step=5))
    second = iwm.start(*WORDS, "--json")
    _, err = second.communicate(timeout=120)
    assert second.returncode == 1
    assert "is running" in err
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert len(journals(iwm)) == 1
