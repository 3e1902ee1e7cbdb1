"""The twin's own settings, and requests that cannot be met. The runs themselves: tests/e2e/test_verify_resume.py."""

import signal

import pytest

from orchestrator.doctor.verify_resume import STEPS_MIN, interruptions, interval, twin_words, verify_resume
from orchestrator.errors import OverrideError, RequestError
from orchestrator.planning.expand import single


@pytest.mark.parametrize("steps", [STEPS_MIN, 17, 40, 1000])
def test_interruptions_come_between_checkpoints_and_before_the_end(steps):
    planned = interruptions(steps)
    assert [one.signal for one in planned] == [signal.SIGKILL, signal.SIGTERM]
    assert all(one.step % interval(steps) for one in planned)
    assert interval(steps) < planned[0].step < planned[1].step - interval(steps)
    assert planned[1].step < steps / 2


def test_the_twin_is_short_and_otherwise_what_was_asked_for():
    cell = single(twin_words(["train.steps=100000", "predictor.depth=3", "evaluate.bank_size=8"], steps=24))
    config = cell.trial.config
    assert (config.train.steps, config.train.log_every, cell.resources.checkpoint_every_steps) == (24, 1, 3)
    assert (config.predictor.depth, config.evaluate.bank_size, config.evaluate.bank_images) == (3, 8, 4)


@pytest.mark.parametrize("override", ["predictor.dpeth=3", "seed=1,2"])
def test_a_wrong_override_is_refused_before_anything_starts(override):
    with pytest.raises(OverrideError):
        verify_resume([override])


def test_too_few_steps_are_refused_before_anything_starts():
    with pytest.raises(RequestError) as caught:
        verify_resume(steps=STEPS_MIN - 1)
    assert (caught.value.setting, caught.value.value) == ("--steps", STEPS_MIN - 1)
