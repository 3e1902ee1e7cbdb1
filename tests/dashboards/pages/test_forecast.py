import pytest

from dashboards.pages.forecast import forecast
from orchestrator.lifecycle import State, TrialStatus
from tests.fakes.results import attempt, finished

DONE = finished({})  # 100 steps in 60 seconds


def unfinished(state, *attempts, step=0):
    return TrialStatus(state=state, attempts=attempts, step=step, total_steps=100 if attempts else 0)


def test_what_is_left_goes_by_the_trials_own_rate_or_the_typical_one():
    slow = unfinished(State.RUNNING, attempt(end=None, step=50, seconds=100), step=50)  # 0.5 steps a second
    waiting = unfinished(State.QUEUED)
    left = forecast([DONE, DONE, slow, waiting])
    assert left.trials == 2
    assert left.work_hours == pytest.approx((50 / 0.5 + 100 / (100 / 60)) / 3600)
    assert left.hours == left.work_hours


def test_without_a_rate_or_a_running_trial_nothing_is_promised():
    assert forecast([unfinished(State.QUEUED)]).work_hours is None
    held = forecast([DONE, unfinished(State.HELD)])
    assert (held.trials, held.hours) == (1, None)
    assert forecast([DONE]).trials == 0
