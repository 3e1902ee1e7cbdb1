import math

from dashboards.pages.trial import NEIGHBOURS_MAX, POINTS_MAX, WIDTH, curves, neighbours, thinned
from orchestrator.trial.lifecycle import Point, State, TrialStatus
from tests.fakes.results import attempt, sweep


def points(*values, key="loss"):
    return [Point(key=key, step=step, value=value, t=0.0, attempt=0) for step, value in enumerate(values, 1)]


def drawn(*history, attempts=(), total_steps=4):
    status = TrialStatus(state=State.RUNNING, attempts=tuple(attempts), total_steps=total_steps)
    return curves([point for part in history for point in part], status)


def test_a_line_goes_through_its_points_and_the_loss_comes_first():
    mrr, loss = points(1, 2, key="mrr"), points(4.0, 3.0, 2.0, 1.0)
    first, second = drawn(mrr, loss)
    assert (first.key, second.key) == ("loss", "mrr")
    assert first.path == "M105.0 0.0L210.0 40.0L315.0 80.0L420.0 120.0"
    assert (first.lowest, first.highest, first.last, first.steps) == (1.0, 4.0, 1.0, 4)


def test_what_is_not_finite_breaks_the_line():
    (curve,) = drawn(points(1.0, math.nan, 2.0, math.inf))
    assert curve.path.count("M") == 2
    assert curve.highest == 2.0
    assert drawn(points(math.nan, 1.0)) == ()


def test_cuts_stand_where_an_attempt_went_on():
    attempts = [attempt(0, end="lost"), attempt(1, host="n2", resumed_from_step=2)]
    (curve,) = drawn(points(1.0, 2.0, 1.0, 2.0), attempts=attempts)
    assert curve.cuts == ((WIDTH / 2, "attempt 1 on n2"),)


def test_a_long_history_is_thinned_and_keeps_its_ends():
    long = points(*range(10_000))
    kept = thinned(long)
    assert len(kept) == POINTS_MAX
    assert (kept[0], kept[-1]) == (long[0], long[-1])
    assert [point.step for point in kept] == sorted({point.step for point in kept})


AXES = {"conditioning": ["none", "feature"], "predictor.depth": [2, 4]}


def measure(levels, seed):
    return {"mrr": 0.1 * float(levels["predictor.depth"] or 0)}


def test_neighbours_differ_in_one_axis_each_and_say_what_they_came_to():
    results = sweep(AXES, measure=measure, seeds=(0, 1))
    found = [
        (one.axis, one.here, [(other.level, other.value) for other in one.neighbours])
        for one in neighbours(results, results.trials[0], metric="mrr")
    ]
    assert found == [
        ("conditioning", "none", [("feature", 0.2)]),
        ("predictor depth", "2", [("4", 0.4)]),
        ("seed", "0", [("1", 0.2)]),
    ]


def test_of_many_the_nearest_are_shown():
    results = sweep({"predictor.depth": [2]}, measure=measure, seeds=tuple(range(100)))
    (seeds,) = neighbours(results, results.trials[50])
    assert seeds.more == 99 - NEIGHBOURS_MAX
    assert [one.level for one in seeds.neighbours] == [str(seed) for seed in range(44, 57) if seed != 50]
