from dashboards.pages.neighbours import MOST, neighbours
from tests.fakes.results import sweep

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
    assert seeds.more == 99 - MOST
    assert [one.level for one in seeds.neighbours] == [str(seed) for seed in range(44, 57) if seed != 50]
