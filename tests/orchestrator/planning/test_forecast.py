"""A forecast goes by the nearest earlier trials, and says where it knows nothing."""

import math

import pytest

from orchestrator.planning.forecast import (
    ComparableTrial,
    Span,
    Task,
    comparable_trial,
    cost_of,
    distance,
    forecast,
    outlook,
    task,
)
from orchestrator.trial.lifecycle import State, TrialStatus
from tests.fakes.results import GPU, attempt, finished, results, trial

SHALLOW = {"predictor.depth": 2, "seed": 0}
DEEP = {"predictor.depth": 4, "seed": 0}


def earlier(place=SHALLOW, *, s_per_step=1.0, rest_s=10.0, **fields):
    return ComparableTrial(cost=cost_of(place), s_per_step=s_per_step, rest_s=rest_s, **fields)


def left(place=SHALLOW, *, steps=100, **fields):
    return Task(cost=cost_of(place), steps=steps, **fields)


def test_equal_trials_give_the_range_of_what_they_took():
    told = forecast([left()], [earlier(s_per_step=0.9), earlier(), earlier(s_per_step=1.3)], places=1)
    assert (told.known, told.guessed, told.unknown, told.comparable_trials) == (1, 0, 0, 3)
    assert told.work == told.end == Span(least=100.0, likely=110.0, most=140.0)


def test_a_neighbour_widens_the_range_by_how_far_it_is_and_is_named():
    told = forecast([left(DEEP)], [earlier()], places=1)
    assert (told.known, told.guessed, told.differences) == (0, 1, ("predictor.depth 4 for 2",))
    assert told.work == Span(least=55.0, likely=110.0, most=220.0)


def test_what_is_too_far_is_not_known_and_then_nobody_knows_the_end():
    told = forecast([left(), left({"predictor.depth": 36})], [earlier()], places=2)
    assert (told.known, told.unknown, told.end) == (1, 1, None)
    assert told.work.likely == 110.0
    assert forecast([left()], [], places=2).unknown == 1


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ({"seed": 1, "train.steps": 9, "optim.lr": 1e-3}, {"seed": 2, "train.steps": 8, "optim.lr": 1e-2}, 0.0),
        ({"depth": 2}, {"depth": 8}, 2.0),
        ({"depth": 2, "conditioning.kind": "none"}, {"depth": 4, "conditioning.kind": "feature"}, 2.0),
        ({"blur": 0.0}, {"blur": 0.5}, 1.0),
        ({"flag": True}, {"flag": 0}, 1.0),
        ({"pretrain": "b99d6e1b"}, {"pretrain": "ea3eaedc"}, 0.0),
        ({"pretrain": "b99d6e1b"}, {"pretrain": ""}, math.inf),
        ({"pretrain": "timm:vit_tiny"}, {"pretrain": "timm:vit_huge"}, math.inf),
        ({"evaluate.protocol": "mrr"}, {"evaluate.protocol": "linear"}, math.inf),
    ],
)
def test_distance_counts_what_costs_time(one, other, apart):
    assert distance(cost_of(one), cost_of(other)) == distance(cost_of(other), cost_of(one)) == apart


def test_so_many_run_at_once_and_what_runs_goes_first():
    running = left(steps=40, s_per_step=0.5, is_running=True)
    told = forecast([left(), left(), running], [earlier()], places=2)
    assert told.work.likely == 110 + 110 + 30
    assert told.end
    assert told.end.likely == 30 + 110
    assert forecast([left()], [earlier()], places=None).end is None


def test_gpu_hours_are_those_of_as_many_gpus_as_before():
    told = forecast([left()], [earlier(gpus=4, device="NVIDIA H200")], places=None)
    assert told.gpu.likely == 4 * told.work.likely
    assert told.to_dict()["gpu_hours"]["likely"] == pytest.approx(4 * 110 / 3600, abs=1e-4)
    assert told.devices == ("NVIDIA H200",)


def test_a_finished_trial_tells_steps_from_what_came_after_them():
    run = attempt(seconds=80.0, stepped_t=1_050.0, fingerprint=GPU)
    told = comparable_trial(cost_of({}), finished({}, attempts=[run]))
    assert told
    assert (told.s_per_step, told.rest_s, told.gpus) == (0.5, 30.0, 1)


def test_repeated_steps_are_not_cheaper_and_an_evaluation_without_steps_is_all_rest():
    first = attempt(0, end="preempted", seconds=30.0, step=60, stepped_t=1_030.0)
    second = attempt(1, seconds=60.0, resumed_from_step=50, stepped_t=2_025.0)
    told = comparable_trial(cost_of({}), finished({}, attempts=[first, second]))
    assert told
    assert (told.s_per_step, told.rest_s) == (0.5, 35.0)
    measured = comparable_trial(cost_of({}), finished({}))
    assert measured
    assert (measured.s_per_step, measured.rest_s) == (0.0, 60.0)


def test_one_that_runs_tells_its_speed_and_not_its_end():
    status = TrialStatus(state=State.RUNNING, step=50, attempts=(attempt(end=None, step=50, stepped_t=1_025.0),))
    own = comparable_trial(cost_of(SHALLOW), status)
    assert own
    told = forecast([task(cost_of(SHALLOW), status, steps=100), left()], [own], places=1)
    assert (told.known, told.restless, told.work.likely) == (2, 2, 25 + 50)
    assert comparable_trial(cost_of({}), TrialStatus(state=State.QUEUED)) is None


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
