from orchestrator.lifecycle import State, TrialStatus
from orchestrator.outlook import outlook
from tests.fakes.results import attempt, finished, results, trial

DONE = finished({}, attempts=[attempt(stepped_t=1_050.0)])  # 100 steps in 50 seconds, and 10 more


def unfinished(state, *attempts, step=0):
    return TrialStatus(state=state, attempts=attempts, step=step, total_steps=100 if attempts else 0)


def foresee(*statuses):
    return outlook(results([trial({"seed": at}, status=one) for at, one in enumerate(statuses)], axes=["seed"]))


def test_what_is_left_goes_by_the_trials_own_speed_or_that_of_the_others():
    ran = attempt(end=None, step=50, seconds=100, stepped_t=1_100.0)  # half as fast
    left = foresee(DONE, DONE, unfinished(State.RUNNING, ran, step=50), unfinished(State.QUEUED))
    assert (left.trials, left.places) == (2, 1)
    assert left.work.likely == (50 * 2 + 10) + (100 * 0.5 + 10)
    assert left.end == left.work


def test_without_a_speed_or_a_running_trial_nothing_is_promised():
    queued = foresee(unfinished(State.QUEUED))
    assert (queued.unknown, queued.work.most) == (1, 0.0)
    held = foresee(DONE, unfinished(State.HELD))
    assert (held.trials, held.end) == (1, None)
    assert foresee(DONE).trials == 0
