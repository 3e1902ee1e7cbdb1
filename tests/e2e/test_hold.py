"""Holding a trial in a slot of this machine: it checkpoints, gives its place away, and goes on where it was."""

from orchestrator.host.locks import is_held
from orchestrator.trial.lifecycle import State
from tests.e2e.conftest import until


def test_a_held_trial_gives_its_slot_away_and_goes_on_when_released(iwm):
    submitted = iwm.json("submit", "pair", "train.steps=400", "resources.slots=1")
    trials = [trial["id"] for trial in submitted["trials"]]

    def at_work():
        return next((key for key in trials if any(a.checkpoint_step for a in iwm.status(key).attempts)), None)

    held = until(at_work)
    (other,) = set(trials) - {held}
    assert iwm.json("hold", held) == {"held": [held]}
    until(lambda: not is_held(iwm.layout.trial(held).worker_lock))
    until(lambda: iwm.status(other).state is State.FINISHED)
    status = iwm.status(held)
    assert (status.state, [attempt.end for attempt in status.attempts]) == (State.HELD, ["preempted"])
    assert iwm.json("release", held) == {"released": [held]}
    until(lambda: iwm.status(held).state is State.FINISHED)
    assert iwm.status(held).attempts[1].resumed_from_step == status.step > 0
    assert iwm.status(held).repeated_steps == 0
