"""The demo's choices and words; the demo itself runs in CI."""

from dataclasses import replace

import pytest

from orchestrator.demo import here, watch
from orchestrator.errors import IwmError
from orchestrator.planning.expand import expand
from orchestrator.trial.lifecycle import Attempt, State, TrialStatus

SWEEP = expand("demo")


def test_the_factorial():
    kinds = {cell.trial.config.conditioning.kind for cell in SWEEP.cells}
    assert (len(SWEEP.cells), len(kinds)) == (12, 3)


def test_the_victim_has_feature_conditioning_at_full_strength():
    config = here.victim_of(SWEEP).trial.config
    assert (config.conditioning.kind, config.photometric.strength) == ("feature", 1.0)
    assert watch.describe(here.victim_of(SWEEP)) == "feature, strength 1, depth 2"


def running(**values):
    return TrialStatus(state=State.RUNNING, attempts=(Attempt(number=0, total_steps=100, **values),), total_steps=100)


@pytest.mark.parametrize(
    ("step", "checkpoint", "ripe"), [(40, 0, False), (50, 50, False), (60, 50, True), (100, 100, False)]
)
def test_it_is_killed_between_a_checkpoint_and_the_end(step, checkpoint, ripe):
    status = running(step=step, checkpoint_step=checkpoint)
    assert watch.is_ripe(replace(status, step=step)) is ripe


def test_the_proof_says_whether_the_weights_are_equal():
    status = TrialStatus(state=State.FINISHED, weights_sha256="abc", attempts=(Attempt(number=0), Attempt(number=1)))
    victim = here.victim_of(SWEEP)
    assert "equal, bit for bit" in here.proof(status, victim=victim, twin_sha256="abc")
    assert "DIFFERENT" in here.proof(status, victim=victim, twin_sha256="abd")


def test_a_trial_that_did_not_finish_is_an_error():
    failed = TrialStatus(state=State.FAILED, error="out of luck")
    with pytest.raises(IwmError) as caught:
        watch.check({"a": failed, "b": TrialStatus(state=State.FINISHED)})
    assert caught.value.value == 1
    assert "out of luck" in str(caught.value)
